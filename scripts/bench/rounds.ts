/** Rounds in which everybody has a turn, each time in another order: so that a slow minute hits all alike. */
import type { Row } from './result.ts'

/** A contender in a section: what it does in its turn is given back by name, null where that is not known. */
export type Turn = { name: string; take: (round: number) => Promise<Record<string, number | null>> }

/** Thrown by a turn whose figures do not count; the run goes on. */
export const invalid = (why: string): Error => Object.assign(new Error(why), { isInvalid: true })

export const interleaved = async (
  turns: Turn[],
  { rounds, say, signal }: { rounds: number; say: (text: string) => void; signal: AbortSignal },
): Promise<{ rows: Row[]; notes: string[] }> => {
  const taken = new Map<Turn, (Record<string, number | null> | null)[]>(
    turns.map(turn => [turn, Array.from({ length: rounds }, () => null)]),
  )
  const notes: string[] = []
  for (let round = 0; round < rounds; round++) {
    const first = round % turns.length
    for (const turn of [...turns.slice(first), ...turns.slice(0, first)]) {
      signal.throwIfAborted()
      try {
        const figures = await turn.take(round)
        taken.get(turn)?.splice(round, 1, figures)
        say(`  round ${round + 1} of ${rounds}  ${turn.name}: ${inWords(figures)}`)
      } catch (error) {
        if (!(error instanceof Error) || !('isInvalid' in error)) throw error
        notes.push(`INVALID: ${turn.name}, round ${round + 1}: ${error.message}`)
        say(`  round ${round + 1} of ${rounds}  ${turn.name}: INVALID, ${error.message}`)
      }
    }
  }
  const rows = turns.map(turn => {
    const all = taken.get(turn) ?? []
    const names = [...new Set(all.flatMap(figures => Object.keys(figures ?? {})))]
    return {
      name: turn.name,
      figures: Object.fromEntries(
        names.map(name => [name, all.map(figures => figures?.[name] ?? null)]),
      ),
    }
  })
  return { rows, notes }
}

const inWords = (figures: Record<string, number | null>): string =>
  Object.entries(figures)
    .filter(([, value]) => value !== null)
    .slice(0, 3)
    .map(
      ([name, value]) => `${value?.toLocaleString('en', { maximumSignificantDigits: 4 })} ${name}`,
    )
    .join(', ')
