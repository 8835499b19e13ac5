/** Calls that wait to be judged: stored through the door as they come, but a hundred in one post. */
import { cdrs } from './cdr.ts'
import { startRingback } from './contender.ts'
import { doorOf, envOf, type Stage } from './stage.ts'

const IN_ONE_POST = 100

/** All of them missed, each by somebody else, of one business. */
export const storeCalls = async (
  stage: Stage,
  databaseUrl: string,
  calls: number,
): Promise<void> => {
  const web = await startRingback('web', envOf(stage, databaseUrl))
  try {
    const next = cdrs()
    for (let stored = 0; stored < calls; stored += IN_ONE_POST) {
      const records = Array.from({ length: Math.min(IN_ONE_POST, calls - stored) }, next)
      const answer = await fetch(doorOf(stage, web.url), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: `[${records.join()}]`,
        signal: stage.signal,
      })
      await answer.arrayBuffer()
      if (answer.status !== 200) throw new Error(`the webhook answered ${answer.status}`)
    }
  } finally {
    await web.stop()
  }
}
