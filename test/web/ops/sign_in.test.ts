/** Who sees /ops, as whom, and what is refused. */
import t from 'tap'
import { asOperator, asTenant, browser, OPERATOR_PASSWORD } from '../../support/ops.ts'
import { hashPassword } from '../../../app/tenants/credentials.ts'
import { business, contents, db, url } from '../../support/ringback.ts'

const basic = (name: string, password: string) => ({
  headers: { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` },
})

t.test('nobody sees anything without signing in', async t => {
  const stranger = browser()
  for (const path of ['/ops', '/ops/calls', '/ops/log', '/ops/nothing', '/ops/tenants/1']) {
    const { status, text, headers } = await stranger.get(path)
    t.equal(status, 401, path)
    t.match(text, 'name="password"', 'a form instead')
    t.equal(headers.get('www-authenticate'), null, 'and not the box of the browser')
  }
  const program = await fetch(`${url}/ops`)
  t.match(program.headers.get('www-authenticate'), /^Basic /, 'a program is asked in its own way')
  const { status } = await stranger.post('/ops/sign-out', {})
  t.equal(status, 401)
})

t.test('the operator signs in, and out', async t => {
  const operator = browser()
  const before = await contents()
  t.equal((await operator.signIn('operator', 'wrong')).status, 401)
  t.match((await operator.signIn('operator', 'wrong')).text, 'Name or password is wrong')
  t.equal((await operator.signIn('Operator', OPERATOR_PASSWORD)).status, 303)
  t.equal((await operator.get('/ops')).status, 200)
  t.equal((await operator.submit('/ops/sign-out')).status, 303)
  t.equal((await operator.get('/ops')).status, 401)
  t.strictSame(await contents(), before, 'all of which leaves no trace')
})

t.test('a program shows the password with each request', async t => {
  t.equal((await fetch(`${url}/ops`, basic('operator', OPERATOR_PASSWORD))).status, 200)
  t.equal((await fetch(`${url}/ops`, basic('operator', 'x'))).status, 401)
  t.equal((await fetch(`${url}/ops`, basic('operator', ''))).status, 401)
  t.equal((await fetch(`${url}/ops`, basic('', OPERATOR_PASSWORD))).status, 401)
})

t.test('a business signs in by any of its numbers, or its id', async t => {
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
  t.equal((await browser().signIn(other.did, '')).status, 401, 'one without a password has none')
})

t.test('a new password ends every session', async t => {
  const shop = await business()
  const owner = await asTenant(shop.tenantId)
  t.equal((await owner.get('/ops')).status, 200)
  await asTenant(shop.tenantId)
  t.equal((await owner.get('/ops')).status, 401)
})

t.test('a session that we did not write is none', async t => {
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

t.test('another site cannot sign anybody in', async t => {
  const { status } = await browser().ask('/ops/sign-in', {
    method: 'POST',
    body: new URLSearchParams({ name: 'operator', password: OPERATOR_PASSWORD }),
    headers: { 'sec-fetch-site': 'cross-site' },
  })
  t.equal(status, 403)
})

t.test('cookies are out of reach of scripts and of other sites', async t => {
  const operator = browser()
  const { headers } = await operator.signIn('operator', OPERATOR_PASSWORD)
  const [cookie = ''] = headers.getSetCookie()
  t.match(cookie, /HttpOnly/)
  t.match(cookie, /SameSite=Lax/)
})

t.test('an action needs what only our own forms carry', async t => {
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
  t.equal(status, 403, 'also when another site makes the browser send it')
  t.strictSame(await contents(), before)
})

const formOf = async (visitor: ReturnType<typeof browser>) =>
  /name="form" value="([^"]+)"/.exec((await visitor.get('/ops')).text)?.[1] ?? ''

t.test('the page comes in the language one has chosen', async t => {
  const operator = await asOperator('en')
  t.match((await operator.get('/ops')).text, '<html lang="en" dir="ltr">')
  const { location } = await operator.submit('/ops/language', {
    language: 'he',
    back: '/ops/calls?state=missed',
  })
  t.equal(location, '/ops/calls?state=missed')
  t.match((await operator.get('/ops')).text, '<html lang="he" dir="rtl">')
})

t.test('one is never sent to another site', async t => {
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

t.test('a business sees its own, and of another nothing', async t => {
  const shop = await business()
  const other = await business()
  const owner = await asTenant(shop.tenantId)
  for (const path of ['/ops', '/ops/log']) {
    t.equal((await owner.get(`${path}?tenant=${shop.tenantId}`)).status, 200)
    t.equal((await owner.get(`${path}?tenant=${other.tenantId}`)).status, 404)
    t.equal((await owner.get(`${path}?tenant=x`)).status, 404)
  }
})

t.test('what the browser is told not to do', async t => {
  const { headers } = await (await asOperator()).get('/ops')
  t.match(headers.get('content-security-policy'), "default-src 'none'")
  t.notMatch(headers.get('content-security-policy'), 'unsafe')
  t.equal(headers.get('cache-control'), 'no-store')
  t.equal(headers.get('x-content-type-options'), 'nosniff')
})

t.test('one business cannot take the pages away from the others', async t => {
  const shop = await business()
  const owner = await asTenant(shop.tenantId)
  const operator = await asOperator()
  const greedy = Array.from({ length: 40 }, () => owner.get('/ops'))
  t.equal((await operator.get('/ops/log')).status, 200)
  const statuses = (await Promise.all(greedy)).map(({ status }) => status)
  t.ok(statuses.includes(200))
  t.ok(statuses.includes(429))
  t.equal((await owner.get('/ops')).status, 200, 'and it may go on')
})

// The last one: from here on this address has to wait.
t.test('whoever guesses has to wait', async t => {
  const guesser = browser()
  const statuses = []
  for (let tries = 0; tries < 14; tries++)
    statuses.push((await guesser.signIn('operator', `guess ${tries}`)).status)
  t.equal(statuses.at(-1), 429)
  const shop = await business()
  t.equal((await browser().signIn(shop.did, 'x')).status, 429, 'whoever she says she is')
  t.equal((await fetch(`${url}/ops`, basic('operator', 'x'))).status, 429)
  t.equal(
    (await fetch(`${url}/ops`, basic('operator', OPERATOR_PASSWORD))).status,
    429,
    'a right guess after many wrong ones is a guess too',
  )
})
