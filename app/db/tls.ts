/**
 * What DATABASE_URL says about TLS, of which node-postgres 8 has its own idea: `sslmode=require`, `prefer` and
 * `verify-ca` all mean verify-full, so that a certificate of one's own chain is refused, and from version 9 on they
 * mean less than that; a mode it does not know means verify-full, too; `ssl=false` ends the process. So a form is taken
 * only if it says what it does.
 */

const FORM =
  'of sslmode only verify-full (with sslrootcert=<file> where the certificate is of a private authority), no-verify ' +
  '(encrypted, open to somebody in the middle) or disable, and no other ssl parameter: docs/deploy.md'

/** Read by node-postgres beside sslmode. */
const FILES = ['sslrootcert', 'sslcert', 'sslkey']

/** @returns what is expected instead, where it is wrong; null where it is well */
export const wrongTls = (databaseUrl: string): string | null => {
  const { searchParams } = new URL(databaseUrl)
  const names = [...searchParams.keys()].filter(name => /ssl/i.test(name))
  const mode = searchParams.get('sslmode')
  const known = [...FILES, 'sslmode', 'sslnegotiation', 'uselibpqcompat']
  const twice = new Set(names).size < names.length
  // As psql has it; node-postgres's own warning recommends it.
  const libpq = searchParams.get('uselibpqcompat') === 'true'
  const modes = ['disable', 'verify-full', ...(libpq ? ['require', 'verify-ca'] : ['no-verify'])]
  if (twice || names.some(name => !known.includes(name)) || (mode && !modes.includes(mode)))
    return FORM
  if (libpq && mode === 'verify-ca' && !searchParams.get('sslrootcert')) return FORM
  return null
}

/** On this very machine, where nobody listens in and nobody offers TLS. */
const isLocal = (databaseUrl: string): boolean => {
  const { hostname, searchParams } = new URL(databaseUrl)
  const host = searchParams.get('host') ?? decodeURIComponent(hostname)
  return /^(localhost|127\.[\d.]+|\[?::1\]?|\/.*)$/.test(host)
}

/**
 * Managed Postgres wants TLS, and on small plans shows a certificate that nobody can verify: where the URL says nothing,
 * the line is encrypted but not proof against somebody in the middle. What the URL says takes precedence.
 */
export const tlsOf = (
  databaseUrl: string,
  production: boolean,
): { rejectUnauthorized: false } | undefined =>
  production && !isLocal(databaseUrl) ? { rejectUnauthorized: false } : undefined

/** Whether phone numbers and texts would go over a network in clear. */
export const isInClear = (databaseUrl: string): boolean =>
  new URL(databaseUrl).searchParams.get('sslmode') === 'disable' && !isLocal(databaseUrl)
