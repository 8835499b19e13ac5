/** The drill of fifty stops, in short. (Case 38) */
import t from 'tap'
import { run } from './command.ts'

await t.test('stopped while it works, it ends in order and loses nothing', async t => {
  const { status, stdout, stderr } = await run('stops', ['--times', '3'])
  t.equal(status, 0, stderr)
  t.match(stdout, /^calls acknowledged [1-9]\d*, missing 0 \| .*sent twice 0,/m)
  t.match(stdout, /^3 stops: min .* finished jobs left held 0$/m)
})
