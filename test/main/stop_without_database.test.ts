/** Asked to stop while the database is away, or says nothing: it ends in time, and its jobs go on elsewhere. (Case 39) */
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { IN_ORDER, lineToDatabase, soon, startProcess } from '../support/process.ts'
import { beingSent } from '../support/sending.ts'
import { acked, judged, traffic } from './traffic.ts'

const HOW = {
  'is away': (line: Awaited<ReturnType<typeof lineToDatabase>>) => {
    line.refuse()
    line.reset()
  },
  'has fallen silent': (line: Awaited<ReturnType<typeof lineToDatabase>>) => {
    line.silence()
    // New connections too.
    setInterval(() => line.silence(), 20).unref()
  },
}
const without = async (t: Test, hide: (typeof HOW)[keyof typeof HOW]) => {
  const line = await lineToDatabase()
  const program = startProcess({ DATABASE_URL: line.DATABASE_URL })
  await program.running()
  const begun = await beingSent(1000)
  const posts = await traffic(program)
  await soon('some are stored', () => acked(posts.answers).length > 0)
  hide(line)
  await sleep(500)
  program.signal('SIGTERM')
  t.match(await program.ended(), IN_ORDER)
  const answers = await posts.end()
  t.ok(answers.every(({ status }) => status === 200 || status === 503))
  const callIds = acked(answers)
  t.not(callIds.length, 0)
  t.equal((await judged(callIds))?.stored, callIds.length, 'whatever was acknowledged is there')
  return { callIds, begun }
}

await t.test('it ends in time, and the next one takes its jobs up', async t => {
  // At once, since each of them uses the time that it has.
  const stories = await Promise.all(Object.values(HOW).map(hide => without(t, hide)))
  const next = startProcess()
  await next.running()
  const callIds = stories.flatMap(story => story.callIds)
  const took = await soon('goes on', async () => (await judged(callIds))?.open === 0)
  t.ok(took < 20, `its jobs go on within ${took.toFixed(1)} s`)
  next.signal('SIGTERM')
  t.match(await next.ended(), IN_ORDER)
  for (const { begun } of stories) t.equal(begun.received(), 1, 'nobody was written to twice')
})
