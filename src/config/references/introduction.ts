/** The part of docs/configuration.md that stands above the tables. */
export const REFERENCE_INTRODUCTION = `# Configuration

Generated from \`src/config\` by \`npm run docs\`; a test fails when it is stale.

Sallyport is configured by a YAML file, by environment variables, or by both. What is said later wins: defaults, then the file,
then the environment, then the command line. The file is the one of \`-c\`, else of \`SALLYPORT_CONFIG\`, else
\`conf/sallyport.yaml\` if it is there. [conf/sallyport.yaml](../conf/sallyport.yaml) shows every setting at its default,
[conf/examples](../conf/examples) has files for common uses, and \`conf/sallyport.schema.json\` makes editors complete and check:
begin your file with \`# yaml-language-server: $schema=…/sallyport.schema.json\`.

Listeners, their servers and \`proxy\` use nginx's words; services, routes, upstreams, targets, certificates, snis and
ca_certificates are Kong's declarative configuration: a kong.yml that uses only these loads unchanged. A setting that does not
exist is refused, so that no misspelling is ever ignored. All mistakes are told at once, each with its line.

## How values are written

- **Durations** as nginx writes them: \`500ms\`, \`60s\`, \`5m\`, \`1h\`, \`1h 30m\`; a bare number is seconds. Kong's timeouts
  (\`connect_timeout\` and so on) are milliseconds without a unit, as in Kong.
- **Sizes**: \`8192\`, \`16k\`, \`1m\`, \`1g\`.
- **Switches**: \`on\` and \`off\`, or \`true\` and \`false\`.
- **PEM**: a path, the PEM text itself, or its base64 (also base64url). Text with \`-----BEGIN\` is taken as it is; else an
  existing file of that name; else what base64 of PEM decodes to; anything else is refused. Where line breaks cannot be written,
  \`\\n\` stands for them. Relative paths are looked up in the working directory, then in the folder of the configuration file. A
  revocation list may also be a file in DER.
- **Variables**: \`\${NAME}\` and \`\${NAME:-default}\` inside a value are replaced after the YAML is parsed, so what a variable
  holds can never add YAML. A variable that is not set and has no default is refused; as in a shell, \`:-\` also stands in for an
  empty one. \`$\${\` stands for the characters \`\${\`.
- **Anchors** (\`&\`), aliases (\`*\`) and \`<<\` are read. A block that is there for its anchor alone stands in \`_ignore\` at the top level, where Docker's
  Compose has \`x-…\`.
- **References** to Kong's entities: the name or the id, or \`{id: …}\`, or \`{name: …}\`. Children stand under their parent
  (\`services[].routes[]\`) or in the list at the top level with a reference to it.
- **Empty**: a block or list without a value (\`services:\`) is as if it were not there. A single value that is left empty is
  refused in nginx's blocks; in Kong's entities null means "not set", as in Kong.

## Where this differs from Kong

- The certificates of upstreams are verified unless \`unsafe_skip_verify: true\` says otherwise. \`tls_verify: false\` alone is refused.
- \`client_certificate\` and \`ca_certificates\` also take a certificate's \`name\`; \`client_certificate: none\` presents none.
- A service with \`enabled: false\` is left out with its routes; references to it are no mistake. A target of weight 0 is left out.
- Bodies always stream, so \`request_buffering\` and \`response_buffering\` have no effect.
- Regular expressions have JavaScript's syntax, and backtrack: one such as \`(a+)+$\` lets a client burn seconds of CPU with one request.

## The environment

Each setting below that names a variable can be given by it. A variable for a listener sets the first listener, one for a server
its default server. Lists are separated by commas, but for certificates, keys and revocation lists: of these
a variable gives one (a file of revocation lists may hold several, and a folder many files). Each variable but
\`SALLYPORT_CONFIG\` has a twin that ends in \`_FILE\` and names a file that holds the
value, as Docker secrets do; setting both is refused. What a shell makes of \`<(command)\` is read once,
for reloads and workers too. (\`SALLYPORT_SSL_PASSWORD_FILE\` is nginx's \`ssl_password_file\`: its file may
hold several passphrases, one a line.) An empty variable counts as not set, except for \`SALLYPORT_VERIFY_AND_MAP\`,
\`SALLYPORT_PINNED_CERTS\` and those that begin with \`SALLYPORT_SSL_VERIFY_\`, \`SALLYPORT_SSL_CRL\`, \`SALLYPORT_SSL_OCSP\` or \`SALLYPORT_SSL_CLIENT_CERTIFICATE\`,
which are refused, and so are their twins: left empty by mistake they would let everybody in. A list with nothing in it (\`,\`) and an empty file are refused for all.
A variable that begins with \`SALLYPORT_\` or \`SECRET_CLIENT_\`, in any case, and is not known is refused; one whose beginning is misspelt is warned of. Of Kong's (\`KONG_…\`) that are not read, a
start warns, with what to write here ([migration.md](migration.md#from-kong)). Quotes round a value are a part of it, but for PEM:
Docker's \`--env-file\` hands them on, and a start warns of them. Keys and passphrases are removed from the environment once read.
`
