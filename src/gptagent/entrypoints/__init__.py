"""Where the platform is entered: web, worker, command line. They translate; the verbs are in the features."""
