/** What every section of a run shares. */
import type { Postgres } from './postgres.ts'

export type Stage = {
  postgres: Postgres
  rounds: number
  /** How long one burst is measured. */
  seconds: number
  long: boolean
  /** Progress, for whoever waits. */
  say: (text: string) => void
  /** Ctrl-C. */
  signal: AbortSignal
  /** The last one is taken down first. */
  onCleanUp: (task: () => Promise<void>) => void
}

export const DOOR = '/webhooks/voicenter/cdr'

/** The URL that is posted to, with the token of the run's business. */
export const doorOf = ({ postgres }: Stage, url: string): string =>
  `${url}${DOOR}?token=${postgres.webhookToken}`

/** What a contender of ours is told. */
export const envOf = ({ postgres }: Stage, databaseUrl: string): NodeJS.ProcessEnv => ({
  ...postgres.env,
  DATABASE_URL: databaseUrl,
  TOKEN: postgres.webhookToken,
  TENANT_ID: postgres.tenantId,
})
