/** Who may sign in to /ops, sessions, CSRF tokens and limits. */
import { sql } from 'kysely'
import t from 'tap'
import { z } from 'zod'
import { reloadConfig } from '../../../app/config.ts'
import { sha256 } from '../../../app/crypto.ts'
import { hashPassword, setPassword } from '../../../app/tenants/credentials.ts'
import { startSession } from '../../../app/tenants/sessions.ts'
import { setTenant } from '../../../app/tenants/settings.ts'
import { ops } from '../../../app/web/ops/router.ts'
import { push } from '../../../scripts/demo/cdr.ts'
import { tenant } from '../../scripts/tenant.ts'
import { asOperator, asTenant, auditLogOf, browser, OPERATOR_PASSWORD } from '../../support/ops.ts'
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
import { act as inTrx } from '../../tenants/support.ts'

const BY_COMMAND = { as: 'command line' } as const

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
  t.equal((await operator.signIn('operator', 'wrong')).status, 401)
  t.match((await operator.signIn('operator', 'wrong')).text, 'The name or the password is wrong')
  t.equal((await operator.signIn('Operator', OPERATOR_PASSWORD)).status, 303)
  t.equal((await operator.get('/ops')).status, 200)
  const session = operator.cookies.get('ringback') ?? ''
  t.equal((await operator.submit('/ops/sign-out')).status, 303)
  t.equal((await operator.get('/ops')).status, 401)
  operator.cookies.set('ringback', session)
  t.equal((await operator.get('/ops')).status, 401, 'the session has ended on the server')
})

/** The row of the session of this browser. */
const sessionOf = ({ cookies }: ReturnType<typeof browser>) =>
  db
    .selectFrom('sessions')
    .selectAll()
    .where('hash', '=', sha256(cookies.get('ringback') ?? ''))
    .executeTakeFirstOrThrow()

t.test('a session is stored without its token, and reading it writes nothing', async t => {
  const shop = await business()
  const owner = await asTenant(shop.tenantId)
  const token = owner.cookies.get('ringback') ?? ''
  t.match(token, /^[\w-]{43}$/)
  const row = await sessionOf(owner)
  t.match(row, { kind: 'session', tenant_id: shop.tenantId, scope: 'full', revoked_at: null })
  t.notMatch(JSON.stringify(await db.selectFrom('sessions').selectAll().execute()), token)
  const before = await contents()
  for (const path of ['/ops', '/ops/calls', '/ops/log'])
    t.equal((await owner.get(path)).status, 200)
  t.strictSame(await contents(), before)
  const { rows } = await sql<{ 'QUERY PLAN': string }>`
    explain select from sessions where hash = ${row.hash} and kind = 'session' and revoked_at is null
      and expires_at > now()`.execute(db)
  t.match(rows.map(row => row['QUERY PLAN']).join(), 'sessions_hash_key', 'one indexed read')
})

t.test(
  'a session ends after half a day, or after thirty days if the visitor asks for it',
  async t => {
    const shop = await business()
    await asTenant(shop.tenantId)
    const password = `the password of ${shop.tenantId}`
    for (const [remember, hours] of [
      ['', 12],
      ['yes', 720],
    ] as const) {
      const owner = browser()
      const { headers } = await owner.post('/ops/sign-in', {
        name: shop.did,
        password,
        ...(remember && { remember }),
      })
      const cookie = headers.getSetCookie().find(line => line.startsWith('ringback='))
      t.match(cookie, `Max-Age=${hours * 3600};`)
      const { created_at, expires_at } = await sessionOf(owner)
      t.equal(expires_at.getTime() - created_at.getTime(), hours * 3_600_000)
      await sql`
      update sessions set created_at = created_at - make_interval(hours => ${hours}),
                          expires_at = expires_at - make_interval(hours => ${hours})
      where hash = ${sha256(owner.cookies.get('ringback') ?? '')}`.execute(db)
      const late = await owner.get('/ops')
      t.equal(late.status, 401)
      t.match(late.text, 'You are no longer signed in')
    }
  },
)

t.test('an account has at most a hundred sessions', async t => {
  const shop = await business()
  const owner = await asTenant(shop.tenantId)
  const other = await business()
  const stranger = await asTenant(other.tenantId)
  await sql`
    insert into sessions (kind, hash, tenant_id, scope, credential, expires_at)
    select 'session', sha256(n::text::bytea), ${shop.tenantId}, 'full', sha256(''), now() + interval '1 day'
    from generate_series(1, 99) n`.execute(db)
  t.equal((await owner.get('/ops')).status, 200)
  t.equal((await browser().signIn(shop.did, `the password of ${shop.tenantId}`)).status, 303)
  t.equal((await owner.get('/ops')).status, 401, 'the oldest one is deleted')
  t.equal((await stranger.get('/ops')).status, 200)
  const rows = db.selectFrom('sessions').select('id').where('tenant_id', '=', shop.tenantId)
  t.equal((await rows.execute()).length, 100)
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

/** What ends the sessions of a business, apart from signing out. */
const ENDS: Record<string, (shop: Business) => Promise<unknown>> = {
  'a new password': ({ tenantId }) =>
    inTrx(trx => setPassword(trx, BY_COMMAND, { tenantId, password: 'another password' })),
  'no password any more': ({ tenantId }) =>
    inTrx(trx => setPassword(trx, BY_COMMAND, { tenantId, password: null })),
  'a new password in SQL': async ({ tenantId }) =>
    db
      .updateTable('tenants')
      .set({ ops_password: await hashPassword('in SQL') })
      .where('id', '=', tenantId)
      .execute(),
  'the command sign-out': ({ tenantId }) => tenant(['sign-out', '--tenant', tenantId]),
  'the button on the page': async ({ tenantId }) =>
    (await asOperator()).submit(`/ops/tenants/${tenantId}/password/sign-out`),
}

t.test('all sessions of a business end, and those of others stay', async t => {
  for (const [what, end] of Object.entries(ENDS)) {
    const shop = await business()
    const owner = await asTenant(shop.tenantId)
    const phone = browser()
    await phone.signIn(shop.did, `the password of ${shop.tenantId}`)
    const other = await asTenant((await business()).tenantId)
    const operator = await asOperator()
    for (const visitor of [owner, phone]) t.equal((await visitor.get('/ops')).status, 200)
    await end(shop)
    for (const visitor of [owner, phone]) t.equal((await visitor.get('/ops')).status, 401, what)
    t.equal((await other.get('/ops')).status, 200)
    t.equal((await operator.get('/ops')).status, 200)
  }
})

t.test('a new OPS_PASSWORD ends the sessions of the operator', async t => {
  const operator = await asOperator()
  const owner = await asTenant((await business()).tenantId)
  const changed = async (password: string | undefined) => {
    if (password === undefined) delete process.env['OPS_PASSWORD']
    else process.env['OPS_PASSWORD'] = password
    reloadConfig()
    const { status } = await operator.get('/ops')
    return status
  }
  t.teardown(() => changed(OPERATOR_PASSWORD))
  t.equal(await changed('a new one'), 401)
  t.equal((await owner.get('/ops')).status, 200)
  t.equal(await changed(OPERATOR_PASSWORD), 200, 'nothing was written')
})

/** A session that began with a link, and a link, as the owner gets them. */
const withLink = async (shop: Business) => {
  const { name, ops_password } = await db
    .selectFrom('tenants')
    .select(['name', 'ops_password'])
    .where('id', '=', shop.tenantId)
    .executeTakeFirstOrThrow()
  const account = { tenantId: shop.tenantId, business: name, credential: ops_password }
  const { token } = await startSession(db, account, { remembered: true, leadsOnly: true })
  const phone = browser()
  phone.cookies.set('ringback', token)
  await sql`
    insert into sessions (kind, hash, tenant_id, scope, credential, expires_at)
    select 'link', sha256(hash), tenant_id, scope, credential, now() + interval '7 days'
    from sessions where hash = ${sha256(token)}`.execute(db)
  return phone
}
const validLinks = async ({ tenantId }: Business) =>
  (
    await db
      .selectFrom('sessions')
      .select('id')
      .where('tenant_id', '=', tenantId)
      .where('kind', '=', 'link')
      .where('revoked_at', 'is', null)
      .execute()
  ).length

t.test('a session from a link reads and answers leads, and no more', async t => {
  const shop = await business()
  const phone = await withLink(shop)
  for (const path of ['/ops', '/ops/waiting', '/ops/calls'])
    t.equal((await phone.get(path)).status, 200, path)
  for (const path of [
    '/ops/log',
    '/ops/trouble',
    '/ops/tenants',
    `/ops/tenants/${shop.tenantId}/export`,
  ]) {
    const { status, text } = await phone.get(path)
    t.equal(status, 401, path)
    t.match(text, 'This page needs your password')
    t.match(text, '<a class="alone" href="/ops/leads">', 'the way back')
    t.notMatch(text, 'role="alert"', 'nothing went wrong')
    t.match(text, `name="back" value="${path}"`)
  }
  const before = await contents()
  for (const path of ['password/set', 'export/csv', 'webhook/fresh', 'settings/save'])
    t.equal((await phone.post(`/ops/tenants/${shop.tenantId}/${path}`, {})).status, 401, path)
  t.strictSame(await contents(), before)
})

t.test('another owner’s phone revokes the links, and sign-out does too', async t => {
  const shop = await business()
  const owner = await asTenant(shop.tenantId)
  const phone = await withLink(shop)
  const set = (ownerPhone: string) =>
    inTrx(trx => setTenant(trx, BY_COMMAND, { tenantId: shop.tenantId, ownerPhone }))
  await set(customer().e164)
  t.equal(await validLinks(shop), 0)
  t.equal((await phone.get('/ops')).status, 401)
  t.equal((await owner.get('/ops')).status, 200, 'a session with the password stays')

  const again = await withLink(shop)
  const { owner_phone } = await db
    .selectFrom('tenants')
    .select('owner_phone')
    .where('id', '=', shop.tenantId)
    .executeTakeFirstOrThrow()
  await set(owner_phone ?? '')
  t.equal(await validLinks(shop), 1, 'the same phone changes nothing')
  const { stdout } = await tenant(['sign-out', '--tenant', shop.tenantId, '--json'])
  t.strictSame(JSON.parse(stdout), { tenantId: shop.tenantId, sessions: 2, links: 1 })
  t.equal(await validLinks(shop), 0)
  t.equal((await again.get('/ops')).status, 401)
  t.match((await auditLogOf(shop.tenantId)).at(-1), {
    who: 'command line',
    action: 'session.end',
    after: { sessions: 2, links: 1 },
  })
})

t.test('a forged session is rejected', async t => {
  const shop = await business()
  const owner = await asTenant(shop.tenantId)
  const session = owner.cookies.get('ringback') ?? ''
  const { hash } = await sessionOf(owner)
  const forged = [
    session.replace(/^./, first => (first === 'A' ? 'B' : 'A')),
    session.slice(0, -1),
    `${session}x`,
    session.toLowerCase(),
    hash.toString('hex'),
    hash.toString('base64url'),
    `${session}%00`,
    owner.cookies.get('ringback_device') ?? '',
    'operator',
    shop.tenantId,
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
  const cookies = headers.getSetCookie()
  t.equal(cookies.length, 2)
  for (const cookie of cookies) {
    t.match(cookie, /HttpOnly/)
    t.match(cookie, /SameSite=Lax/)
  }
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
    ['page.js', /^text\/javascript/],
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

t.test('the sign-in form changes its language and says what to do without a password', async t => {
  const outsider = browser('he')
  const { text } = await outsider.get('/ops/calls?state=missed')
  t.match(text, '<html lang="he" dir="rtl">')
  t.match(text, 'שכחתי את הסיסמה')
  const { location } = await outsider.post('/ops/sign-in', {
    language: 'en',
    name: '',
    password: '',
    back: '/ops/calls?state=missed',
  })
  t.equal(location, '/ops/calls?state=missed')
  const english = await outsider.get('/ops/calls?state=missed')
  t.equal(english.status, 401)
  t.match(english.text, '<html lang="en" dir="ltr">')
  t.match(english.text, 'Ask the operator')
  t.match(english.text, 'name="back" value="/ops/calls?state=missed"')
})

t.test('GET /ops/sign-in leads to the pages', async t => {
  t.equal((await browser().get('/ops/sign-in')).status, 401)
  t.equal((await (await asOperator()).get('/ops/sign-in')).location, '/ops')
})

/** The fields of the sign-in form, with its hidden ones. */
const signInFieldsOf = (text: string): Record<string, string> =>
  Object.fromEntries(
    [...text.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)].map(
      ([, name = '', value = '']) => [
        name,
        value.replaceAll('&quot;', '"').replaceAll('&amp;', '&'),
      ],
    ),
  )

/** Posts a form of a page as a browser does. */
const send = (visitor: ReturnType<typeof browser>, path: string, fields: Record<string, string>) =>
  visitor.ask(path, {
    method: 'POST',
    body: new URLSearchParams(fields),
    headers: { 'sec-fetch-site': 'same-origin' },
  })

t.test('a form that was sent after the session ended keeps what was entered', async t => {
  const shop = await business()
  const path = `/ops/tenants/${shop.tenantId}/settings/save`
  const owner = await asTenant(shop.tenantId)
  await tenant(['sign-out', '--tenant', shop.tenantId])
  const before = await contents()
  const fields = {
    form: 'expired',
    name: 'Entered "&',
    outreachDelay: '7 minutes',
    password: 'secret',
  }
  const asked = await send(owner, path, fields)
  t.equal(asked.status, 401)
  t.match(asked.text, 'what you entered is kept')
  t.notMatch(asked.text, 'secret')
  const kept = signInFieldsOf(asked.text)
  t.match(kept, { path, 'kept.name': 'Entered "&', 'kept.outreachDelay': '7 minutes' })

  const password = `the password of ${shop.tenantId}`
  const wrong = await send(owner, '/ops/sign-in', { ...kept, name: shop.did, password: 'wrong' })
  t.equal(wrong.status, 401)
  t.strictSame(signInFieldsOf(wrong.text), kept, 'also after a wrong password')
  const hebrew = await send(owner, '/ops/sign-in', { ...kept, language: 'he' })
  t.match(hebrew.text, 'dir="rtl"')
  t.strictSame(signInFieldsOf(hebrew.text), kept, 'also in another language')
  owner.cookies.delete('ringback_language')
  t.strictSame(await contents(), before)

  const back = await send(owner, '/ops/sign-in', { ...kept, name: shop.did, password })
  t.equal(back.status, 200)
  t.match(back.text, 'Nothing was changed yet')
  t.match(back.text, 'value="Entered &quot;&amp;"')
  t.match(back.text, 'value="7 minutes"')
  t.equal((await contents())['public.tenants'], before['public.tenants'])
  const form = /name="form" value="([^"]+)"/.exec(back.text)?.[1] ?? ''
  const settings = { name: 'Entered', outreachDelay: '7 minutes', missedStatuses: 'BUSY', form }
  t.not((await send(owner, path, settings)).status, 403, 'the form can be sent again')
})

t.test('a button that was pressed after the session ended does nothing', async t => {
  const shop = await business()
  const owner = await asTenant(shop.tenantId)
  const password = `the password of ${shop.tenantId}`
  for (const path of [
    `/ops/leads/1/called-back`,
    `/ops/tenants/${shop.tenantId}/export/csv`,
    `/ops/tenants/${(await business()).tenantId}/settings/save`,
    '/ops/sign-out',
    '/ops/language',
  ]) {
    await owner.post('/ops/sign-in', { name: shop.did, password })
    owner.cookies.delete('ringback')
    const asked = await send(owner, path, {
      back: '/ops/waiting?tenant=1',
      language: 'he',
      what: 'calls',
    })
    const kept = signInFieldsOf(asked.text)
    t.match(kept, { path, back: '/ops/waiting?tenant=1' })
    const before = await contents()
    const { status, location } = await send(owner, '/ops/sign-in', {
      ...kept,
      name: shop.did,
      password,
    })
    t.equal(status, 303, path)
    t.equal(location, '/ops/waiting?tenant=1', path)
    const { 'public.sessions': _, ...after } = await contents()
    t.match(before, after, 'nothing was changed')
    t.equal((await owner.get('/ops')).status, 200, 'the visitor is signed in')
    t.equal(owner.cookies.get('ringback_language'), undefined)
  }
})

t.test('a form of another site is not kept', async t => {
  const outsider = browser()
  const path = '/ops/tenants/add'
  for (const headers of [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { origin: 'https://evil.example' },
    {},
  ]) {
    const body = new URLSearchParams({ name: 'planted' })
    const { status, text } = await outsider.ask(path, { method: 'POST', body, headers })
    t.equal(status, 401)
    t.notMatch(text, 'planted')
  }
  const old = await outsider.ask(path, {
    method: 'POST',
    body: new URLSearchParams({ name: 'of a browser without Sec-Fetch-Site' }),
    headers: { origin: url },
  })
  t.match(old.text, 'of a browser without Sec-Fetch-Site')
  const large = await send(outsider, path, { name: 'x'.repeat(40_000) })
  t.equal(large.status, 401, 'a large form is not read')
  t.notMatch(large.text, 'xxxx')
  let kept = 0
  while (kept < 40 && (await send(outsider, path, { name: 'one more' })).text.includes('one more'))
    kept++
  t.ok(kept < 30, 'an address may have thirty forms kept in a minute')
})

// The last tests: after them, the passwords of this address are slowed down for a minute.
t.test('after ten wrong passwords, an address is slowed down and not locked out', async t => {
  const shop = await business()
  const owner = await asTenant(shop.tenantId)
  const guesser = browser()
  let from = performance.now()
  let slow = await guesser.signIn('operator', 'guess')
  for (let tries = 0; tries < 10 && slow.status !== 429; tries++) {
    t.equal(slow.status, 401)
    from = performance.now()
    slow = await guesser.signIn('operator', `guess ${tries}`)
  }
  t.equal(slow.status, 429)
  t.match(slow.text, 'Too many wrong passwords')
  t.match(slow.text, 'name="password"', 'the form')
  t.ok(performance.now() - from > 900)
  t.equal((await fetch(`${url}/ops`, basic('operator', 'x'))).status, 429)
  t.equal((await guesser.signIn('operator', OPERATOR_PASSWORD)).status, 303, 'the right one')
  const started = performance.now()
  t.equal((await owner.signIn(shop.did, `the password of ${shop.tenantId}`)).status, 303)
  t.ok(performance.now() - started < 1000, 'a device that signed in before is not slowed down')
})

t.test('a device is known for its own account and password only', async t => {
  const shop = await business()
  const owner = await asTenant(shop.tenantId)
  const device = owner.cookies.get('ringback_device') ?? ''
  const other = await business()
  const isSlow = async (name: string, password: string) => {
    const visitor = browser()
    visitor.cookies.set('ringback_device', device)
    return (await visitor.signIn(name, password)).status === 429
  }
  t.notOk(await isSlow(shop.did, 'wrong'))
  t.ok(await isSlow(other.did, 'wrong'))
  await asTenant(shop.tenantId)
  t.ok(await isSlow(shop.did, 'wrong'), 'not after a new password')
})
