/** What nobody foresaw: it is said in the log, and the process ends, for its platform starts it again. */
import { sql } from 'kysely'
import t from 'tap'
import { soon, startProcess } from '../support/process.ts'
import { db } from '../support/ringback.ts'

const CRASHED = { how: 1 }
/** On SIGUSR2 something goes wrong somewhere. */
const onSignal = (wrong: string) => `process.on('SIGUSR2', () => { ${wrong} })`

for (const [name, wrong] of [
  ['an error that nobody caught', `throw new Error('nobody caught this')`],
  ['a promise that nobody awaited', `Promise.reject(new Error('nobody caught this'))`],
] as const)
  await t.test(`${name} ends the process`, async t => {
    const program = startProcess({}, onSignal(wrong))
    await program.running()
    program.signal('SIGUSR2')
    const { how, seconds } = await program.ended()
    t.equal(how, 1)
    t.ok(seconds < 8, `within ${seconds.toFixed(1)} s`)
    t.match(await program.says('Ringback ends'), 'nobody caught this')
    t.notMatch(
      program.lines.join('\n'),
      'everything had ended',
      'in order, since nothing was under way',
    )
  })

await t.test('a worker that ends by itself takes the process with it', async t => {
  const program = startProcess()
  await program.running()
  // Its library stops it when a later version has changed the tables of the queue. It may not be listening yet.
  await soon('it ends', async () => {
    await sql`select pg_notify('worker:migrate', '{"breaking": true, "migrationNumber": 9999}')`.execute(
      db,
    )
    return !program.isAlive()
  })
  t.match(await program.ended(), CRASHED)
  t.match(await program.says('Ringback ends'), 'the worker ended by itself')
})
