/**
 * How much a run does. It has two parts. In the storm both copies of the program are killed as fast as they come up,
 * until every named point has seen its share; what it shows is that nothing is lost. After it comes one fault at a
 * time, each with the time that everything it left waiting takes to be done.
 */
export type Plan = {
  seed: number
  long: boolean
  /** Call records, repeats and hostile bodies included. */
  cdrs: number
  /** Of the program, at named points. */
  kills: number
  /** So many of them in the storm at each point, at least. */
  stormKillsAtEach: number
  postgresKills: number
  cuts: number
  /** SIGSTOP, then SIGCONT; the seconds of each. */
  stalls: number[]
  /** The share of all that is not a kill of the program which comes with the storm. */
  stormShare: number
  /** Over how many seconds the records are spread. */
  seconds: number
  /** The run gives up after so many, whatever is still missing. */
  minutes: number
}

export const SHORT: Omit<Plan, 'seed'> = {
  long: false,
  cdrs: 800,
  kills: 48,
  stormKillsAtEach: 1,
  postgresKills: 2,
  cuts: 6,
  stalls: [4],
  stormShare: 0.2,
  seconds: 90,
  minutes: 8,
}

export const LONG: Omit<Plan, 'seed'> = {
  long: true,
  cdrs: 10_000,
  kills: 300,
  stormKillsAtEach: 5,
  postgresKills: 20,
  cuts: 50,
  stalls: [5, 75, 10, 65],
  stormShare: 0.4,
  seconds: 1100,
  minutes: 60,
}

/** A customer's hours, in seconds: the delays of every business in the run. */
export const DELAYS = {
  outreach: 3,
  reminder1: 4,
  reminder2: 9,
  unresponsive: 3,
  /** A reminder whose forerunner stays unknown is looked at again after a minute; then it is too late for it. */
  reminderGrace: 40,
}

/** The goals, in milliseconds: what a run must not exceed. */
export const GOALS = {
  recoveryP99: 15_000,
  claimSettled: 60_000,
}
