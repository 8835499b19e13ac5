import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { startupError } from './errors.ts'

// node-postgres 8 reads the TLS parameters of DATABASE_URL in its own way: `sslmode=require`, `prefer`, `verify-ca` and
// unknown modes mean verify-full, and from version 9 on they will check less. `ssl=false` ends the process. So only forms
// with a clear meaning are accepted.

const TLS_FORMS =
  'sslmode verify-full (for a private certificate authority with sslrootcert=<file>), no-verify ' +
  '(encrypted, but open to a man in the middle) or disable, and no other ssl parameter: docs/deploy.md'

/** Other parameters that node-postgres reads. */
const FILES = ['sslrootcert', 'sslcert', 'sslkey']

/** @returns which forms are accepted, if this one is not; null if it is */
export const tlsProblem = (databaseUrl: string): string | null => {
  const { searchParams } = new URL(databaseUrl)
  const names = [...searchParams.keys()].filter(name => /ssl/i.test(name))
  const mode = searchParams.get('sslmode')
  const known = [...FILES, 'sslmode', 'sslnegotiation', 'uselibpqcompat']
  const isRepeated = new Set(names).size < names.length
  // Then node-postgres reads sslmode as psql does. Its own warning recommends this parameter.
  const libpq = searchParams.get('uselibpqcompat') === 'true'
  const modes = ['disable', 'verify-full', ...(libpq ? ['require', 'verify-ca'] : ['no-verify'])]
  if (isRepeated || names.some(name => !known.includes(name)) || (mode && !modes.includes(mode)))
    return TLS_FORMS
  if (libpq && mode === 'verify-ca' && !searchParams.get('sslrootcert')) return TLS_FORMS
  return null
}

/** Whether only this machine can reach an address of the web. */
export const isLoopback = (url: string): boolean =>
  /^(localhost|127\.[\d.]+|\[::1\])$/.test(new URL(url).hostname)

/** A server on this machine needs no TLS and usually offers none. */
const isLocal = (databaseUrl: string): boolean => {
  const { hostname, searchParams } = new URL(databaseUrl)
  const host = searchParams.get('host') ?? decodeURIComponent(hostname)
  return /^(localhost|127\.[\d.]+|\[?::1\]?|\/.*)$/.test(host)
}

/**
 * Managed Postgres requires TLS, and on small plans its certificate cannot be verified. So by default the connection is
 * encrypted, but the certificate is not checked. Parameters in the URL take precedence.
 */
export const tlsOptions = (
  databaseUrl: string,
  production: boolean,
): { rejectUnauthorized: false } | undefined =>
  production && !isLocal(databaseUrl) ? { rejectUnauthorized: false } : undefined

/** Whether phone numbers and texts would be sent over a network unencrypted. */
export const isUnencrypted = (databaseUrl: string): boolean =>
  new URL(databaseUrl).searchParams.get('sslmode') === 'disable' && !isLocal(databaseUrl)

/** The database and key of a development machine. Not used in production. */
export const dataFolder = fileURLToPath(new URL('../.data/', import.meta.url))

const wholeNumber = (least: number, most: number) =>
  z.coerce
    .number(`a whole number from ${least} to ${most}`)
    .int(`a whole number from ${least} to ${most}`)
    .min(least, `a whole number from ${least} to ${most}`)
    .max(most, `a whole number from ${least} to ${most}`)

const httpUrl = z
  .url({ protocol: /^https?$/, error: 'an http or https URL' })
  .transform(url => url.replace(/\/+$/, ''))

const databaseUrl = z
  .url({ protocol: /^postgres(ql)?$/, error: 'a postgres:// URL', abort: true })
  .superRefine((url, context) => {
    const message = tlsProblem(url)
    if (message) context.addIssue(message)
  })

/** All settings. */
export const settings = z.object({
  NODE_ENV: z.string().toLowerCase().default('development'),
  DATABASE_URL: databaseUrl.optional(),
  READ_DATABASE_URL: databaseUrl.optional(),
  PORT: wholeNumber(0, 65_535).default(3000),
  ROLE: z.enum(['all', 'web', 'worker'], 'all, web or worker').default('all'),
  ENCRYPTION_KEY: z
    .base64({ error: '32 bytes as base64 (openssl rand -base64 32)', abort: true })
    .refine(
      key => Buffer.from(key, 'base64').length === 32,
      '32 bytes as base64 (openssl rand -base64 32)',
    )
    .optional(),
  WHATSAPP_GRAPH_URL: httpUrl.default('https://graph.facebook.com'),
  WHATSAPP_GRAPH_VERSION: z
    .string()
    .regex(/^v\d+\.\d+$/, 'a version such as v26.0')
    .default('v26.0'),
  // Several Meta apps may post to one address.
  WHATSAPP_APP_SECRET: z
    .string()
    .transform(list =>
      list
        .split(',')
        .map(secret => secret.trim())
        .filter(Boolean),
    )
    .refine(secrets => secrets.length > 0, 'app secrets, separated by commas')
    .optional(),
  WHATSAPP_VERIFY_TOKEN: z.string().min(1).optional(),
  VOICENTER_API_URL: httpUrl.default('https://api.voicenter.com'),
  VOICENTER_ACTIVE_CALLS_URL: httpUrl.default('https://monapisec.voicenter.co.il'),
  PUBLIC_URL: httpUrl.optional(),
  OPS_PASSWORD: z.string().min(1).optional(),
  // A small managed Postgres has 20 connections, and during a deploy two processes run for up to 30 s.
  DATABASE_CONNECTIONS: wholeNumber(7, 500).default(9),
  WORKER_CONCURRENCY: wholeNumber(1, 500).default(16),
  RETENTION_DAYS: wholeNumber(1, 36_500).default(90),
  LOG_LEVEL: z
    .enum(
      ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      'trace, debug, info, warn, error, fatal or silent',
    )
    .default('info'),
})

export type Config = ReturnType<typeof readConfig>

/**
 * Reads and checks all settings at once.
 *
 * @throws StartupError that names every variable that is wrong or missing, and the expected value. It does not repeat
 * values, because some of them are secrets.
 */
export const readConfig = (env: Record<string, string | undefined>) => {
  // An empty variable (`PORT= npm start`) counts as not set.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value?.trim() !== ''))
  const { data, error } = settings.safeParse(given)
  if (error)
    throw startupError(
      error.issues.map(issue => `${issue.path.join('.')}: expected ${issue.message}`).join('\n'),
    )
  const production = data.NODE_ENV === 'production'
  const needed = (['DATABASE_URL', 'ENCRYPTION_KEY'] as const).filter(name => !data[name])
  const missing = production ? needed.map(name => `${name}: must be set in production`) : []
  // With only one of them, Meta's verification or its webhooks fail, and this shows only days later.
  const pair = ['WHATSAPP_APP_SECRET', 'WHATSAPP_VERIFY_TOKEN'] as const
  const absent = pair.filter(name => !data[name])
  if (absent.length === 1)
    missing.push(`${absent[0]}: must be set too, or neither ${pair.join(' nor ')}`)
  if (missing.length) throw startupError(missing.join('\n'))
  return {
    ...data,
    production,
    PUBLIC_URL: data.PUBLIC_URL ?? `http://localhost:${data.PORT}`,
    ENCRYPTION_KEY: Buffer.from(data.ENCRYPTION_KEY ?? developmentKey(), 'base64'),
  }
}

/** Stored, because WhatsApp tokens that are stored today must be readable tomorrow. */
const developmentKey = (): string => {
  const file = `${dataFolder}encryption-key`
  try {
    mkdirSync(dataFolder, { recursive: true })
    writeFileSync(file, randomBytes(32).toString('base64'), { mode: 0o600, flag: 'wx' })
  } catch (error) {
    // Two processes may start at once.
    if (codeOf(error) !== 'EEXIST') throw folderProblem(error)
  }
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw folderProblem(error)
  }
}

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : null

/** The folder `.data` cannot be used, and what to do. */
const folderProblem = (cause: unknown): Error => {
  const remedy =
    codeOf(cause) === 'ENOSPC'
      ? 'The disk is full: free some space'
      : 'Run as the user to whom this folder belongs, or give it to this user (chown)'
  const reason = cause instanceof Error ? cause.message : String(cause)
  return startupError(
    `${dataFolder} cannot be used: ${reason}. ${remedy}, or set ENCRYPTION_KEY and DATABASE_URL`,
    { cause },
  )
}

let cached: Config | undefined

/** The settings of this process, read from the environment at the first call. */
export const config = (): Config => (cached ??= readConfig(process.env))

/** Reads the environment again. For tests that change it. */
export const reloadConfig = (): void => {
  cached = readConfig(process.env)
}
