// A real OpenID Connect provider for tests. Arguments: port, redirect address.
// Whoever logs in as NAME is the subject NAME; an e-mail address is vouched for unless NAME begins with "unsure".
import { Provider } from 'oidc-provider';

const [port, redirectUri] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [{
    client_id: 'gptagent',
    client_secret: 'a secret of the tests',
    redirect_uris: [redirectUri],
    response_types: ['code'],
    grant_types: ['authorization_code'],
  }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'given_name', 'family_name'] },
  cookies: { keys: ['a key of the tests'] },
  pkce: { required: () => true },
  async findAccount(_context, id) {
    return {
      accountId: id,
      async claims() {
        return { sub: id, email: `${id}@example.test`, email_verified: !id.startsWith('unsure'), name: `Of ${id}`, given_name: 'Of', family_name: id };
      },
    };
  },
});
provider.listen(Number(port), '127.0.0.1', () => console.log(`ready ${issuer}`));
