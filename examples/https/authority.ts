// Gets a certificate from an ACME authority (RFC 8555), with the package acme-client.

/** The part of acme-client 5 that is used here. It is not installed with the examples. */
interface AcmeClientModule {
  Client: new (options: {
    directoryUrl: string;
    accountKey: Uint8Array;
  }) => {
    auto(options: {
      csr: Uint8Array;
      email: string | undefined;
      termsOfServiceAgreed: boolean;
      challengePriority: string[];
      challengeCreateFn(authorization: unknown, challenge: { token: string }, keyAuthorization: string): Promise<void>;
      challengeRemoveFn(authorization: unknown, challenge: { token: string }): Promise<void>;
    }): Promise<string>;
  };
  crypto: {
    createPrivateEcdsaKey(curve: 'P-256'): Promise<Uint8Array>;
    createCsr(request: { altNames: string[] }, key: Uint8Array): Promise<[key: Uint8Array, csr: Uint8Array]>;
  };
}

export interface Certificate {
  /** PEM. */
  key: string;
  cert: string;
}

export interface AuthorityOptions {
  directoryUrl: string;
  email: string | undefined;
  /** The package, or for tests the URL of a module in its place. */
  client: string;
  /** Answers to the authority's questions, by token: the server has to give them. */
  challenges: Map<string, string>;
}

export async function issueCertificate(names: string[], options: AuthorityOptions): Promise<Certificate> {
  const { directoryUrl, email, client, challenges } = options;
  const acme: AcmeClientModule = await import(client);
  const accountKey = await acme.crypto.createPrivateEcdsaKey('P-256');
  const [key, csr] = await acme.crypto.createCsr({ altNames: names }, await acme.crypto.createPrivateEcdsaKey('P-256'));
  const cert = await new acme.Client({ directoryUrl, accountKey }).auto({
    csr,
    email,
    termsOfServiceAgreed: true,
    challengePriority: ['http-01'],
    async challengeCreateFn(_, { token }, keyAuthorization) {
      challenges.set(token, keyAuthorization);
    },
    async challengeRemoveFn(_, { token }) {
      challenges.delete(token);
    },
  });
  return { key: Buffer.from(key).toString(), cert };
}
