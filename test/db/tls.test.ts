/** Which forms of DATABASE_URL are taken, and what node-postgres makes of them. */
import pg from 'pg'
import t from 'tap'
import { z } from 'zod'
import { isInClear, tlsOf, wrongTls } from '../../app/config.ts'

const SERVER = 'postgres://ringback:secret@db.example:5432/ringback'
const connection = z.object({ connectionParameters: z.object({ ssl: z.unknown() }) })

/** What the program would ask of the server. */
const asked = (url: string): unknown => {
  const ssl = tlsOf(url, true)
  const client = new pg.Client({ connectionString: url, ...(ssl && { ssl }) })
  return connection.parse(client).connectionParameters.ssl
}

const UNVERIFIED = { rejectUnauthorized: false }
const VERIFIED = {}
const CLEAR = false

await t.test('a form that is taken does what it says', t => {
  for (const [query, ssl] of [
    ['', UNVERIFIED],
    ['?sslmode=', UNVERIFIED],
    ['?application_name=x', UNVERIFIED],
    ['?sslmode=no-verify', UNVERIFIED],
    ['?sslmode=verify-full', VERIFIED],
    ['?sslmode=disable', CLEAR],
    ['?uselibpqcompat=true&sslmode=require', UNVERIFIED],
    ['?uselibpqcompat=true&sslmode=verify-full', VERIFIED],
  ] as const) {
    t.equal(wrongTls(SERVER + query), null, query)
    t.strictSame(asked(SERVER + query), ssl, query)
  }
  t.equal(wrongTls(`${SERVER}?sslmode=verify-full&sslrootcert=/etc/ca.crt`), null)
  t.equal(wrongTls(`${SERVER}?sslrootcert=/etc/ca.crt`), null)
  t.end()
})

await t.test('a form that means something else than it says is refused', t => {
  for (const query of [
    '?sslmode=require',
    '?sslmode=prefer',
    '?sslmode=verify-ca',
    '?sslmode=allow',
    '?sslmode=Require',
    '?sslmode=require&sslrootcert=/etc/ca.crt',
    '?SSLMODE=require',
    '?ssl=true',
    '?ssl=false',
    '?ssl=no-verify',
    '?sslmode=no-verify&sslmode=verify-full',
    '?uselibpqcompat=true&sslmode=prefer',
    '?uselibpqcompat=true&sslmode=no-verify',
    '?uselibpqcompat=true&sslmode=verify-ca',
    '?application_name=x&sslmode=require',
  ])
    t.match(wrongTls(SERVER + query), 'verify-full', query)
  t.end()
})

await t.test('node-postgres still takes require for verify-full', t => {
  // If this changes, rewrite app/config.ts and docs/deploy.md.
  process.removeAllListeners('warning').once('warning', () => {})
  t.strictSame(asked(`${SERVER}?sslmode=require`), VERIFIED)
  t.strictSame(asked(`${SERVER}?sslmode=anything`), VERIFIED)
  t.end()
})

await t.test('on this very machine no TLS is asked for, and in production everywhere else', t => {
  for (const host of ['localhost', '127.0.0.1', '[::1]', 'localhost:5432', '%2Frun%2Fpostgresql'])
    t.equal(tlsOf(`postgres://ringback:secret@${host}/ringback`, true), undefined, host)
  t.equal(tlsOf('postgres:///ringback?host=/run/postgresql', true), undefined)
  for (const host of ['db.example', 'localhost.example', '10.0.0.1', '127.example'])
    t.strictSame(tlsOf(`postgres://ringback:secret@${host}/ringback`, true), UNVERIFIED, host)
  t.strictSame(tlsOf('postgres://x:localhost@db.example/localhost', true), UNVERIFIED)
  t.strictSame(tlsOf('postgres://localhost/ringback?host=db.example', true), UNVERIFIED)
  t.equal(tlsOf(SERVER, false), undefined, 'a developer has no TLS')
  t.end()
})

await t.test('what goes over a network in clear is known', t => {
  t.ok(isInClear(`${SERVER}?sslmode=disable`))
  t.notOk(isInClear(`${SERVER}?sslmode=no-verify`))
  t.notOk(isInClear(SERVER))
  t.notOk(isInClear('postgres://localhost/ringback?sslmode=disable'))
  t.end()
})
