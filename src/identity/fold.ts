/**
 * One spelling for all names that a backend cannot tell apart. CGI, FastCGI, WSGI and PHP make the same variable from `X-User`, `X_USER` and
 * `x.user`, and some of them from `X~User` too.
 */
export function fold(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-')
}
