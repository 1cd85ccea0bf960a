/**
 * The spelling that all spellings of a name share. CGI, FastCGI, WSGI and PHP make the same variable of `X-User`, `X_USER` and
 * `x.user`, some of them of `X~User` too, so a backend cannot tell them apart.
 */
export function fold(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-')
}
