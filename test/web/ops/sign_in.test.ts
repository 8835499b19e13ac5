/** Who may sign in to /ops, sessions, CSRF tokens and limits. */
import { sql } from 'kysely'
import t from 'tap'
import { z } from 'zod'
import { ops } from '../../../app/web/ops/router.ts'
import { push } from '../../../scripts/demo/cdr.ts'
import { asOperator, asTenant, browser, OPERATOR_PASSWORD } from '../../support/ops.ts'
import { hashPassword } from '../../../app/tenants/credentials.ts'
import {
  business,
  type Business,
  contents,
  customer,
  db,
  post,
  url,
} from '../../support/ringback.ts'
import { dueSince, miss } from '../../tasks/support.ts'

const basic = (name: string, password: string) => ({
  headers: { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` },
})

t.test('without signing in there is only the sign-in form', async t => {
  const outsider = browser()
  for (const path of ['/ops', '/ops/calls', '/ops/log', '/ops/nothing', '/ops/tenants/1']) {
    const { status, text, headers } = await outsider.get(path)
    t.equal(status, 401, path)
    t.match(text, 'name="password"', 'the form')
    t.equal(headers.get('www-authenticate'), null, 'no dialog of the browser')
  }
  const program = await fetch(`${url}/ops`)
  t.match(program.headers.get('www-authenticate'), /^Basic /, 'a program gets the header')
  const { status } = await outsider.post('/ops/sign-out', {})
  t.equal(status, 401)
})

t.test('the operator signs in and out', async t => {
  const operator = browser()
  const before = await contents()
  t.equal((await operator.signIn('operator', 'wrong')).status, 401)
  t.match((await operator.signIn('operator', 'wrong')).text, 'The name or the password is wrong')
  t.equal((await operator.signIn('Operator', OPERATOR_PASSWORD)).status, 303)
  t.equal((await operator.get('/ops')).status, 200)
  t.equal((await operator.submit('/ops/sign-out')).status, 303)
  t.equal((await operator.get('/ops')).status, 401)
  t.strictSame(await contents(), before, 'sessions are not stored')
})

t.test('a program sends the password with each request', async t => {
  t.equal((await fetch(`${url}/ops`, basic('operator', OPERATOR_PASSWORD))).status, 200)
  t.equal((await fetch(`${url}/ops`, basic('operator', 'x'))).status, 401)
  t.equal((await fetch(`${url}/ops`, basic('operator', ''))).status, 401)
  t.equal((await fetch(`${url}/ops`, basic('', OPERATOR_PASSWORD))).status, 401)
})

t.test('a business signs in with any of its numbers or its id', async t => {
  const shop = await business()
  await db
    .updateTable('tenants')
    .set({ ops_password: await hashPassword('סיסמה ארוכה מאוד') })
    .where('id', '=', shop.tenantId)
    .execute()
  for (const name of [
    shop.tenantId,
    shop.did,
    shop.line,
    `${shop.did.slice(0, 3)}-${shop.did.slice(3)}`,
  ]) {
    const owner = browser()
    t.equal((await owner.signIn(name, 'סיסמה ארוכה מאוד')).status, 303, name)
    t.match((await owner.get('/ops')).text, 'מספרת נועה')
  }
  const other = await business()
  t.equal((await browser().signIn(other.did, 'סיסמה ארוכה מאוד')).status, 401)
  t.equal(
    (await browser().signIn(other.did, '')).status,
    401,
    'a business without a password cannot sign in',
  )
})

t.test('a new password ends all sessions', async t => {
  const shop = await business()
  const owner = await asTenant(shop.tenantId)
  t.equal((await owner.get('/ops')).status, 200)
  await asTenant(shop.tenantId)
  t.equal((await owner.get('/ops')).status, 401)
})

t.test('a forged session is rejected', async t => {
  const shop = await business()
  const other = await business()
  const owner = await asTenant(shop.tenantId)
  await asTenant(other.tenantId)
  const session = owner.cookies.get('ringback') ?? ''
  const forged = [
    session.replace(/^\d+/, other.tenantId),
    session.replace(/^\d+/, 'operator'),
    session.replace(/^\d+/, `0${shop.tenantId}`),
    session.replace(/\.(\d+)\./, (_, since) => `.${Number(since) + 1}.`),
    session.slice(0, -1),
    `${session}x`,
    'operator',
    '..',
    '',
  ]
  for (const one of forged) {
    owner.cookies.set('ringback', one)
    t.equal((await owner.get('/ops')).status, 401, one)
  }
})

t.test('another site cannot sign a visitor in', async t => {
  const { status } = await browser().ask('/ops/sign-in', {
    method: 'POST',
    body: new URLSearchParams({ name: 'operator', password: OPERATOR_PASSWORD }),
    headers: { 'sec-fetch-site': 'cross-site' },
  })
  t.equal(status, 403)
})

t.test('scripts and other sites cannot read the cookie', async t => {
  const operator = browser()
  const { headers } = await operator.signIn('operator', OPERATOR_PASSWORD)
  const [cookie = ''] = headers.getSetCookie()
  t.match(cookie, /HttpOnly/)
  t.match(cookie, /SameSite=Lax/)
})

t.test('an action needs the form token of the visitor', async t => {
  const operator = await asOperator()
  const shop = await business()
  const owner = await asTenant(shop.tenantId)
  const before = await contents()
  const theirs = /name="form" value="([^"]+)"/.exec((await owner.get('/ops')).text)?.[1] ?? ''
  t.ok(theirs)
  for (const form of ['', 'x', theirs]) {
    const { status } = await operator.post('/ops/language', { form, language: 'he' })
    t.equal(status, 403, form)
  }
  const { status } = await operator.ask('/ops/language', {
    method: 'POST',
    body: new URLSearchParams({ form: await formOf(operator), language: 'he' }),
    headers: { 'sec-fetch-site': 'cross-site' },
  })
  t.equal(status, 403, 'also with a token, if another site sends the form')
  t.strictSame(await contents(), before)
})

const formOf = async (visitor: ReturnType<typeof browser>) =>
  /name="form" value="([^"]+)"/.exec((await visitor.get('/ops')).text)?.[1] ?? ''

t.test('the visitor chooses the language', async t => {
  const operator = await asOperator('en')
  t.match((await operator.get('/ops')).text, '<html lang="en" dir="ltr">')
  const { location } = await operator.submit('/ops/language', {
    language: 'he',
    back: '/ops/calls?state=missed',
  })
  t.equal(location, '/ops/calls?state=missed')
  t.match((await operator.get('/ops')).text, '<html lang="he" dir="rtl">')
})

t.test('a redirect never leads to another site', async t => {
  const operator = await asOperator()
  for (const back of [
    'https://evil.example',
    '//evil.example',
    '/ops\\evil',
    '/opsevil',
    '/ops/../x',
    '/webhooks',
  ])
    t.match(
      (await operator.submit('/ops/language', { language: 'en', back })).location,
      /^\/ops$/,
      back,
    )
})

t.test('a business cannot choose another business', async t => {
  const shop = await business()
  const other = await business()
  const owner = await asTenant(shop.tenantId)
  for (const path of ['/ops', '/ops/log']) {
    t.equal((await owner.get(`${path}?tenant=${shop.tenantId}`)).status, 200)
    t.equal((await owner.get(`${path}?tenant=${other.tenantId}`)).status, 404)
    t.equal((await owner.get(`${path}?tenant=x`)).status, 404)
  }
})

const layers = z.array(
  z.object({
    handle: z.unknown(),
    route: z
      .object({
        path: z.union([z.string(), z.array(z.string())]),
        stack: z.array(z.object({ method: z.enum(['get', 'post']) })),
      })
      .optional(),
  }),
)

/** The routes of a router and of the routers in it. */
const routesOf = (router: unknown): { method: 'get' | 'post'; path: string }[] => {
  if (typeof router !== 'function' || !('stack' in router)) return []
  return layers.parse(router.stack).flatMap(({ handle, route }) => {
    if (!route) return routesOf(handle)
    const methods = [...new Set(route.stack.map(({ method }) => method))]
    return [route.path].flat().flatMap(path => methods.map(method => ({ method, path })))
  })
}

/** From now on every new row has an id that no earlier row of any table has. */
const skipIds = async (): Promise<void> => {
  const { rows } = await sql<{ table: string }>`
    select attrelid::regclass::text as "table" from pg_attribute
    where attidentity = 'a' and attname = 'id' and attrelid in (
      select oid from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r')`.execute(
    db,
  )
  for (const { table } of rows)
    await sql`alter table ${sql.table(table)} alter id restart with 1000000`.execute(db)
}

/** One id of each kind of row that a page may name. */
const idsOf = async (shop: Business): Promise<string[]> => {
  const { id, callId } = await miss(shop, customer().local)
  await dueSince(id)
  await post({ ...push({ did: shop.did }), ivruniqueid: '' }, { token: shop.token })
  const { rows } = await sql<{ id: string }>`
    select id from raw_cdrs where call_id = ${callId}
    union all select max(id) from rejected_deliveries where tenant_id = ${shop.tenantId}
    union all select max(id) from messages where tenant_id = ${shop.tenantId}
    union all select max(id) from leads where tenant_id = ${shop.tenantId}
    union all select max(id) from graphile_worker.jobs`.execute(db)
  return [...new Set([id, ...rows.map(row => row.id)])]
}

t.test('whatever a path names, a row of another business is not found', async t => {
  const shop = await business()
  const owner = await asTenant(shop.tenantId)
  const [, form = ''] = /name="form" value="([^"]+)"/.exec((await owner.get('/ops/log')).text) ?? []
  await skipIds()
  const other = await business()
  const ids = await idsOf(other)
  t.strictSame(
    ids.filter(id => !id),
    [],
    'there is a row of each kind',
  )
  const tenants = [shop.tenantId, other.tenantId]
  const VALUES: Record<string, string[]> = { id: ids, result: ['arrived', 'lost'] }

  const before = await contents()
  const asked = new Set<string>()
  for (const { method, path } of routesOf(ops)) {
    const names = [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => name)
    if (names.length === 0) continue
    let paths = [path]
    for (const name of names) {
      const isTenant = name === 'tenant' || name === 'tenantId'
      // With its own tenant and no other row, a path is allowed.
      const values = isTenant ? (names.includes('id') ? tenants : [other.tenantId]) : VALUES[name]
      if (!values) return t.fail(`which rows of ${other.tenantId} does :${name} of ${path} name?`)
      paths = paths.flatMap(one => values.map(value => one.replace(`:${name}`, value)))
    }
    for (const one of paths) {
      const { status } = await (method === 'get'
        ? owner.get(`/ops${one}`)
        : owner.post(`/ops${one}`, { form }))
      t.equal(status, 404, `${method} ${one}`)
    }
    asked.add(path)
  }
  t.ok(asked.size > 30, String(asked.size))
  t.strictSame(await contents(), before)
})

t.test('the security headers', async t => {
  const { headers } = await (await asOperator()).get('/ops')
  t.match(headers.get('content-security-policy'), "default-src 'none'")
  t.notMatch(headers.get('content-security-policy'), 'unsafe')
  t.equal(headers.get('cache-control'), 'no-store')
  t.equal(headers.get('x-content-type-options'), 'nosniff')
})

t.test('static files need no session and may be cached', async t => {
  for (const [name, type] of [
    ['style.css', /^text\/css/],
    ['live.js', /^text\/javascript/],
    ['icon.svg', /^image\/svg/],
  ] as const) {
    const { status, headers } = await browser().get(`/ops/${name}`)
    t.equal(status, 200, name)
    t.match(headers.get('content-type'), type)
    t.equal(headers.get('cache-control'), 'public, max-age=3600')
  }
  t.equal((await browser().get('/ops/static/style.css')).status, 401)
})

t.test('one business cannot block the pages for others', async t => {
  const shop = await business()
  const owner = await asTenant(shop.tenantId)
  const operator = await asOperator()
  const greedy = Array.from({ length: 40 }, () => owner.get('/ops'))
  t.equal((await operator.get('/ops/log')).status, 200)
  const statuses = (await Promise.all(greedy)).map(({ status }) => status)
  t.ok(statuses.includes(200))
  t.ok(statuses.includes(429))
  t.equal((await owner.get('/ops')).status, 200, 'later requests work again')
})

// The last test: after it, this address is blocked for a minute.
t.test('after ten wrong passwords an address must wait', async t => {
  const guesser = browser()
  const statuses = []
  for (let tries = 0; tries < 14; tries++)
    statuses.push((await guesser.signIn('operator', `guess ${tries}`)).status)
  t.equal(statuses.at(-1), 429)
  const shop = await business()
  t.equal((await browser().signIn(shop.did, 'x')).status, 429, 'for any name')
  t.equal((await fetch(`${url}/ops`, basic('operator', 'x'))).status, 429)
  t.equal(
    (await fetch(`${url}/ops`, basic('operator', OPERATOR_PASSWORD))).status,
    429,
    'also with the right password',
  )
})
