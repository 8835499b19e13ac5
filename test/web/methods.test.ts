/** Everything but POST, at the door for call records and beside it. */
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { business, CDR, contents, url } from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'

/** fetch knows no TRACE, and would tidy up the path. */
const send = (method: string, path: string, body = '') =>
  new Promise<{ status: number | undefined; allow: string | undefined; body: string }>(
    (resolve, reject) => {
      const { port } = new URL(url)
      const headers = { 'content-length': Buffer.byteLength(body) }
      const req = request({ port, method, path, headers, host: '127.0.0.1' }, res => {
        text(res).then(
          answer => resolve({ status: res.statusCode, allow: res.headers.allow, body: answer }),
          reject,
        )
      })
      req.on('error', reject)
      req.end(body)
    },
  )

const PATH = new URL(CDR).pathname
const { token } = await business()

await t.test('GET and HEAD answer 200 without effect, with a token and without', async t => {
  const before = await contents()
  for (const query of [
    '',
    '?token=wrong',
    `?token=${token}`,
    `?token=${token}&ivruniqueid=1&status=BUSY`,
  ]) {
    const answer = await send('GET', PATH + query)
    t.match(answer, { status: 200, body: '{"Err":0,"Errdesc":"OK"}' })
    t.match(await send('HEAD', PATH + query), { status: 200, body: '' })
  }
  t.strictSame(await contents(), before)
})

await t.test('other methods are refused, and told which ones there are', async t => {
  const before = await contents()
  for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'])
    t.match(
      await send(
        method,
        `${PATH}?token=${token}`,
        method === 'TRACE' ? '' : JSON.stringify(push()),
      ),
      { status: 405, allow: 'GET, HEAD, POST' },
      method,
    )
  t.strictSame(await contents(), before)
})

await t.test('what is elsewhere is not found, in JSON that repeats nothing', async t => {
  const before = await contents()
  for (const path of [
    '/',
    `/${PATH}`,
    `${PATH}/x`,
    '/webhooks%00',
    '/%2e%2e/etc/passwd',
    '/%ff',
    '/x?<script>',
  ])
    t.strictSame(
      await send('POST', `${path}?token=${token}`, JSON.stringify(push())),
      { status: 404, allow: undefined, body: '{"error":"not found"}' },
      path,
    )
  t.strictSame(await contents(), before)
})

await t.test('a body that breaks off leaves nothing behind', async t => {
  const before = await contents()
  const req = request(`${CDR}?token=${token}`, {
    method: 'POST',
    headers: { 'content-length': '10000' },
  })
  req.on('error', () => {})
  req.write(JSON.stringify(push()))
  // Long enough for the head to have been read, and the token to have been looked up.
  await sleep(200)
  req.destroy()
  await sleep(200)
  t.strictSame(await contents(), before)
  t.match(await send('GET', PATH), { status: 200 }, 'and the program goes on')
})
