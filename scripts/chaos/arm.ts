/**
 * Loaded into the program by `npm run chaos` (`node --import`), and only there: kills it, stops it or lets it
 * abort at the step that the harness names. Without this file nothing listens to app/points.ts.
 */
import { subscribe } from 'node:diagnostics_channel'
import { FAILPOINT_CHANNEL } from '../../app/failpoints.ts'
import { armed } from './armed.ts'

const tell = process.send?.bind(process)
if (!tell || !process.channel)
  throw new Error('arm.ts belongs to npm run chaos: there is no harness to take orders from')

const { order, passed } = armed({
  // Written to the pipe before this returns, so it arrives also if the next thing we do is to die.
  tell: hit => void tell(hit),
  die: action => {
    if (action === 'abort') process.abort()
    process.kill(process.pid, action === 'stop' ? 'SIGSTOP' : 'SIGKILL')
  },
})
subscribe(FAILPOINT_CHANNEL, passed)
process.on('message', order)
// A harness that was killed leaves nobody behind.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
// The program ends as it always does.
process.channel.unref()
