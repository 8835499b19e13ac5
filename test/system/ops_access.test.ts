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

await t.test('without OPS_PASSWORD only this machine has access', async t => {
  const copy = await start({ OPS_PASSWORD: '' })
  const url = await copy.url()
  t.equal(await ask(url), 200)
  t.equal(await ask(url, { host: 'localhost' }), 200)
  t.equal(
    await ask(url, { 'x-forwarded-for': '203.0.113.7' }),
    403,
    'through a proxy on this machine',
  )
  t.equal(await ask(url, { forwarded: 'for=203.0.113.7' }), 403)
  t.equal(await ask(url, { via: '1.1 proxy' }), 403)
  t.equal(await ask(url, { 'x-real-ip': '203.0.113.7' }), 403)
  t.match(await inOldHttp(url), /^HTTP\/1\.1 403 /, 'nginx uses HTTP/1.0 by default')
  t.equal(await ask(url, { host: 'evil.example' }), 403, 'DNS rebinding')
  t.equal(await ask(url, { host: 'evil.example', ...basic }), 403)
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
  ])
  t.match(answer.headers.get('strict-transport-security'), 'max-age')
  copy.signal('SIGTERM')
  await copy.ended()
})
