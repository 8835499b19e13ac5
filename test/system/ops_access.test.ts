/** From where /ops can be reached: without a password only from this machine, with one over https. */
import { request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { startProcess } from '../support/process.ts'

/** fetch cannot set the Host header. */
const ask = (url: string, headers: Record<string, string> = {}): Promise<number> =>
  new Promise((resolve, reject) => {
    request(new URL('/ops', url), { headers }, answer => {
      answer.resume()
      resolve(answer.statusCode ?? 0)
    })
      .on('error', reject)
      .end()
  })

const inOldHttp = async (url: string): Promise<string> => {
  const { port } = new URL(url)
  const socket = connect(Number(port), '127.0.0.1')
  socket.write(`GET /ops HTTP/1.0\r\nHost: localhost:${port}\r\nConnection: close\r\n\r\n`)
  return text(socket)
}

const start = async (env: NodeJS.ProcessEnv) => {
  const copy = startProcess({ ROLE: 'web', ...env })
  await copy.running()
  return copy
}
const basic = {
  authorization: `Basic ${Buffer.from('operator:a long password').toString('base64')}`,
}

await t.test('in production without OPS_PASSWORD, /ops and /metrics are off', async t => {
  const copy = await start({ OPS_PASSWORD: '' })
  const url = await copy.url()
  // A proxy on this machine may add no header and name this machine in Host: nginx since 1.29.7 does by default.
  t.equal(await ask(url), 403)
  for (const path of ['/ops', '/ops/calls', '/ops/sign-in', '/ops/style.css', '/metrics'])
    for (const headers of [{}, basic, { 'x-forwarded-proto': 'https', ...basic }])
      t.equal((await fetch(`${url}${path}`, { headers })).status, 403, path)
  t.match(await (await fetch(`${url}/ops`)).text(), 'Set OPS_PASSWORD')
  t.match(copy.lines.join(), /"level":40[^\n]*OPS_PASSWORD is not set: \/ops and \/metrics are off/)
  t.equal((await fetch(`${url}/healthz`)).status, 200)
  copy.signal('SIGTERM')
  await copy.ended()
})

await t.test('elsewhere without OPS_PASSWORD only this machine has access', async t => {
  const copy = await start({ OPS_PASSWORD: '', NODE_ENV: 'development' })
  const url = await copy.url()
  const { port } = new URL(url)
  t.equal(await ask(url), 200)
  for (const host of ['localhost', `LOCALHOST:${port}`, `[::1]:${port}`])
    t.equal(await ask(url, { host }), 200, host)
  for (const name of [
    'x-forwarded-for',
    'X-Forwarded-Proto',
    'x-forwarded-host',
    'x-forwarded-server',
    'x-forwarded',
    'forwarded',
    'via',
    'x-real-ip',
    'cf-connecting-ip',
    'cf-ray',
    'true-client-ip',
    'x-client-ip',
    'x-cluster-client-ip',
    'fastly-client-ip',
    'fly-client-ip',
    'x-envoy-external-address',
    'x-amzn-trace-id',
    'x-request-id',
    'cdn-loop',
    'x-original-uri',
    'x-azure-clientip',
    'remote-addr',
  ])
    t.equal(await ask(url, { [name]: '127.0.0.1' }), 403, `${name}: a proxy on this machine`)
  t.match(await inOldHttp(url), /^HTTP\/1\.1 403 /, 'nginx used HTTP/1.0 before 1.29.7')
  for (const host of [
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '0.0.0.0',
  ])
    t.equal(await ask(url, { host }), 403, `DNS rebinding: ${host}`)
  t.equal(await ask(url, { host: 'evil.example', ...basic }), 403)
  const { lines } = copy
  t.match(lines.join(), 'OPS_PASSWORD is not set', 'the start warns as in production')
  t.match(lines.join(), 'PUBLIC_URL is this machine')
  copy.signal('SIGTERM')
  await copy.ended()
})

await t.test('with OPS_PASSWORD, production needs https', async t => {
  const copy = await start({ OPS_PASSWORD: 'a long password' })
  const url = await copy.url()
  t.equal(await ask(url), 401, 'also from this machine')
  t.equal(await ask(url, basic), 200)
  const proxied = { 'x-forwarded-for': '203.0.113.7', host: 'calls.example' }
  t.equal(await ask(url, { ...proxied, ...basic }), 403)
  t.equal(await ask(url, { ...proxied, ...basic, 'x-forwarded-proto': 'http' }), 403)
  t.equal(await ask(url, { ...proxied, ...basic, 'x-forwarded-proto': 'https' }), 200)
  t.equal(await ask(url, { ...proxied, 'x-forwarded-proto': 'https' }), 401)
  copy.signal('SIGTERM')
  await copy.ended()
})

await t.test('over https the cookie is secure', async t => {
  const copy = await start({ OPS_PASSWORD: 'a long password' })
  const answer = await fetch(`${await copy.url()}/ops/sign-in`, {
    method: 'POST',
    body: new URLSearchParams({ name: 'operator', password: 'a long password' }),
    headers: { 'x-forwarded-proto': 'https' },
    redirect: 'manual',
  })
  t.equal(answer.status, 303)
  t.match(answer.headers.getSetCookie(), [
    /^__Host-ringback=.*; Path=\/;.*HttpOnly; Secure; SameSite=Lax/,
    /^__Host-ringback_device=.*; Path=\/;.*HttpOnly; Secure; SameSite=Lax/,
  ])
  t.match(answer.headers.get('strict-transport-security'), 'max-age')
  copy.signal('SIGTERM')
  await copy.ended()
})

await t.test(
  'the cookie is secure where PUBLIC_URL is https, also if the proxy does not say so',
  async t => {
    const PUBLIC_URL = 'https://calls.example'
    const copy = await start({ OPS_PASSWORD: 'a long password', PUBLIC_URL })
    const answer = await fetch(`${await copy.url()}/ops/sign-in`, {
      method: 'POST',
      body: new URLSearchParams({ name: 'operator', password: 'a long password' }),
      redirect: 'manual',
    })
    t.equal(answer.status, 303)
    for (const cookie of answer.headers.getSetCookie()) t.match(cookie, /^__Host-.*Secure/)
    copy.signal('SIGTERM')
    await copy.ended()
  },
)
