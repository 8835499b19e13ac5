/** Every curl line of docs/api.md works, in order. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import t from 'tap'
import { contacted, writes } from '../outreach/support.ts'
import { fake, work } from '../support/ringback.ts'
import { API, clientOf } from '../web/api/support.ts'
import { leadOf } from '../web/ops/support.ts'

const page = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8')

t.test('every curl line of docs/api.md', async t => {
  const { shop, who } = await contacted()
  await writes(who.e164, 'Can I come tomorrow?')
  const { id } = await leadOf(shop.tenantId, who.e164)
  const { apiToken, get } = await clientOf(shop)
  const lines = page
    .replaceAll(/\\\n/g, '')
    .split('\n')
    .filter(line => line.startsWith('curl '))
  t.equal(lines.length, 10)
  for (const line of lines) {
    const command = line.replace('/leads/1', `/leads/${id}`)
    const { stdout } = await promisify(execFile)('bash', ['-c', `${command} -w '\n%{http_code}'`], {
      env: { ...process.env, RINGBACK: API, API_TOKEN: apiToken },
    })
    const [json = '', status = ''] = stdout.split(/\n(?=\d+$)/)
    t.equal(status, /-X POST/.test(line) ? '202' : '200', `${line}\n${json}`)
    t.ok(JSON.parse(json))
  }
  await work()
  t.equal(fake.inbox(who.e164).at(-1)?.text, 'Yes, tomorrow at ten.')
  t.match((await get(`/leads/${id}`)).json, {
    outcome: 'won',
    outcome_value: 350,
    note: 'Asks for Dana.',
    called_back_at: null,
  })
})
