import { byStart, type Leg } from '../voicenter/classify.ts'
import { finish, hear, type Simulation } from './simulate.ts'

/** One record, as it came. */
export type Heard = {
  rootCallId: string
  receivedAt: Date
  leg: Leg
  /** How many its call has in all; null = nobody has counted. */
  records: number | null
}

export type Replayed = {
  records: number
  /** Records that could not be read any more. */
  unreadable: number
  /** When the first record of each call came, by root id. */
  heardAt: Map<string, Date>
}

/**
 * Plays records, which must come in the order of their receipt, through several simulations at once: each is read
 * only once, and only calls with records to come are kept.
 *
 * @param until when the simulations end
 * @param tell is told, of every record, how many there have been and when it came
 */
export const replay = async (
  heard: AsyncIterable<Heard | null> | Iterable<Heard | null>,
  simulations: readonly Simulation[],
  until: Date,
  tell: (records: number, at: Date) => void = () => {},
): Promise<Replayed> => {
  const replayed: Replayed = { records: 0, unreadable: 0, heardAt: new Map() }
  const unfinished = new Map<string, Leg[]>()
  for await (const record of heard) {
    replayed.records++
    if (record === null) {
      replayed.unreadable++
      continue
    }
    const { rootCallId, receivedAt, leg, records } = record
    const others = unfinished.get(rootCallId)
    const legs = others ? byStart([...others, leg]) : [leg]
    if (legs.length === records) unfinished.delete(rootCallId)
    else unfinished.set(rootCallId, legs)
    if (!replayed.heardAt.has(rootCallId)) replayed.heardAt.set(rootCallId, receivedAt)
    for (const simulation of simulations) hear(simulation, rootCallId, legs, receivedAt)
    tell(replayed.records, receivedAt)
  }
  for (const simulation of simulations) finish(simulation, until)
  return replayed
}
