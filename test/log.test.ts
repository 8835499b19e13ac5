/** The log contains ids, and no phone number, token or text. */
import { spawnSync } from 'node:child_process'
import t from 'tap'
import { z } from 'zod'
import { db } from '../app/db/kysely.ts'

t.teardown(() => db.destroy())

const line = z.looseObject({ level: z.number(), time: z.number(), msg: z.string() })

/** Runs this code in its own process, because it writes to stdout. @returns the lines of its log */
const logged = (code: string, level = 'info') => {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [
      '--input-type=module-typescript',
      '--eval',
      `import { config } from './app/config.ts'
import { log } from './app/log.ts'
log.level = config().LOG_LEVEL
${code}`,
    ],
    { encoding: 'utf8', env: { ...process.env, LOG_LEVEL: level } },
  )
  return {
    stderr,
    lines: stdout
      .trimEnd()
      .split('\n')
      .filter(Boolean)
      .map(text => ({ text, ...line.parse(JSON.parse(text)) })),
  }
}

await t.test('a line is one object with the given fields', async t => {
  const { lines } = logged(`log.info({ tenantId: '7' }, 'two\\nlines'); log.debug('not shown')`)
  t.match(lines, [{ level: 30, tenantId: '7', msg: 'two\nlines' }])
  t.notOk('pid' in (lines[0] ?? {}) || 'hostname' in (lines[0] ?? {}))
  t.equal(lines.length, 1)
  t.match(logged(`log.debug('shown')`, 'debug').lines, [{ msg: 'shown' }])
})

await t.test('an error is logged without the row that Postgres quotes', async t => {
  const { lines } = logged(`
    import { sql } from 'kysely'
    const { db } = await import('./app/db/kysely.ts')
    const statements = [
      sql\`insert into tenants (id, name) overriding system value values (1, 'one')\`,
      sql\`insert into tenant_numbers (tenant_id, phone) values (1, '+972502345678')\`,
      sql\`insert into tenant_numbers (tenant_id, phone) values (1, '+972502345678')\`,
      sql\`insert into tenant_numbers (tenant_id, phone) values (1, '+9725023456780123456789')\`,
      sql\`insert into leads (tenant_id, phone) values (999, '+972502345678')\`,
      sql\`update tenants set owner_phone = '0502345678'\`,
    ]
    for (const statement of statements)
      await statement.execute(db).catch(err => log.error({ err }, 'failed'))
    await db.destroy()`)
  t.match(lines, [
    { msg: 'failed', err: { code: '23505', constraint: 'tenant_numbers_phone_key' } },
    { msg: 'failed', err: { code: '23514', constraint: 'tenant_numbers_phone_form' } },
    { msg: 'failed', err: { code: '23503', type: 'error' } },
    { msg: 'failed', err: { code: '23514', constraint: 'tenants_owner_phone_e164' } },
  ])
  for (const { text } of lines) {
    t.notMatch(text, /502345678/)
    t.match(text, /"stack":"/)
  }
})

await t.test('the cause and the parts of an error are logged in the same way', async t => {
  const { lines } = logged(`
    const inner = Object.assign(new Error('inner'), { detail: 'Key (phone)=(+972502345678)', code: '23505' })
    log.error({ err: new Error('outer', { cause: inner }) }, 'one')
    log.error({ err: new AggregateError([inner, 'word'], 'parts') }, 'two')
    log.error({ err: new Error('outer', { cause: '+972502345678' }) }, 'three')
    log.error({ err: '+972502345678' }, 'four')
    log.error({ err: { phone: '+972502345678' } }, 'five')`)
  t.match(lines, [
    { err: { message: 'outer', cause: { message: 'inner', code: '23505' } } },
    { err: { message: 'parts', errors: [{ code: '23505' }, { type: 'string' }] } },
    { err: { cause: { type: 'string' } } },
    { err: { type: 'string' } },
    { err: { type: 'object' } },
  ])
  for (const { text } of lines) t.notMatch(text, /502345678/)
})
