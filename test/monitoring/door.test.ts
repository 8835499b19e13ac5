/** GET /metrics answers only the operator. */
import t from 'tap'
import { startProcess } from '../support/process.ts'
import { business, url } from '../support/ringback.ts'
import { push } from '../../scripts/demo/cdr.ts'
import { figuresIn } from './support.ts'

const basic = (user: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
})
const statusOf = async (address: string, headers: Record<string, string> = {}) => {
  const response = await fetch(`${address}/metrics`, { headers })
  const text = await response.text()
  if (response.status !== 200) t.notMatch(text, 'ringback_', 'the answer contains no metrics')
  return response.status
}

await t.test('without OPS_PASSWORD only this machine has access', async t => {
  t.equal(await statusOf(url), 200)
  t.equal(await statusOf(url, { 'x-forwarded-for': '203.0.113.7' }), 403)
})

await t.test('with OPS_PASSWORD only the operator has access', async t => {
  const { token, did } = await business()
  const program = startProcess({ OPS_PASSWORD: 'a long one' })
  await program.running()
  const address = await program.url()
  t.equal(await statusOf(address), 401)
  t.equal(await statusOf(address, basic('operator', 'a wrong one')), 401)
  t.equal(await statusOf(address, basic('1', 'a long one')), 401)
  t.equal(await statusOf(address, basic('operator', 'a long one')), 200)

  const posted = await fetch(`${address}/webhooks/voicenter/cdr?token=${token}`, {
    method: 'POST',
    body: JSON.stringify(push({ did })),
  })
  t.equal(posted.status, 200)
  const figures = async () =>
    figuresIn(
      await (
        await fetch(`${address}/metrics`, { headers: basic('operator', 'a long one') })
      ).text(),
    )
  const until = performance.now() + 30_000
  let found = await figures()
  const classified = 'ringback_job_lateness_seconds_count{task="voicenter_cdr"}'
  while (!found.get(classified) && performance.now() < until) found = await figures()
  t.equal(found.get(classified), 1, 'the job is counted')
  t.equal(
    found.get('ringback_webhook_answer_seconds_count{door="voicenter",status="200"}'),
    1,
    'and the answer of the endpoint',
  )
  t.equal(found.get('ringback_database_up'), 1)
  t.ok((found.get('process_resident_memory_bytes') ?? 0) > 1e7)
})
