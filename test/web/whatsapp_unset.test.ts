/** Without an app secret and a verify token of ours the door for WhatsApp is shut. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test } from 'tap'
import { business, contents, VERIFY_TOKEN } from '../support/ringback.ts'
import { change, envelope, hmac } from '../support/whatsapp.ts'

await test('without a secret and a token of our own everything is refused', async t => {
  const { WHATSAPP_APP_SECRET: _secret, WHATSAPP_VERIFY_TOKEN: _token, ...env } = process.env
  const app = spawn(process.execPath, ['app/main.ts'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...env, ROLE: 'web', LOG_LEVEL: 'info' },
  })
  t.teardown(() => app.kill('SIGKILL'))
  const port = await new Promise<string>(resolve => {
    createInterface(app.stdout).on('line', line => {
      const found = /"port":(\d+)/.exec(line)?.[1]
      if (found) resolve(found)
    })
  })
  const door = `http://127.0.0.1:${port}/webhooks/whatsapp`
  const { phoneNumberId } = await business()
  const before = await contents()

  for (const token of ['', 'undefined', VERIFY_TOKEN]) {
    const query = new URLSearchParams({ 'hub.mode': 'subscribe', 'hub.challenge': '1' })
    query.set('hub.verify_token', token)
    t.equal((await fetch(`${door}?${query.toString()}`)).status, 403, `token "${token}"`)
  }
  const body = JSON.stringify(envelope(change(phoneNumberId, { messages: [{ id: 'wamid.1' }] })))
  const signature = `sha256=${hmac(body)}`
  const response = await fetch(door, {
    method: 'POST',
    body,
    headers: { 'x-hub-signature-256': signature },
  })
  t.equal(response.status, 401)
  t.strictSame(await contents(), before)

  app.kill('SIGTERM')
  t.strictSame(await once(app, 'exit'), [0, null])
})
