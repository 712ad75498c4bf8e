"use strict";
// Nothing is sent anywhere but to this very server, and the token is forgotten with the tab.
window.SwaggerUIBundle({
  url: "/api/v1/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
});
