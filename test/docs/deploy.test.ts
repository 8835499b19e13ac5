/** docs/deploy.md: its commands, settings, unit and tables are those of the program, and its SQL does what it says. */
import { existsSync, readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { sql } from 'kysely'
import t from 'tap'
import { push } from '../../scripts/demo/cdr.ts'
import { business, customer, db, post, work, workAsIfDue } from '../support/ringback.ts'
import { tlsOf, wrongTls, readConfig, settings } from '../../app/config.ts'
import { heldBy } from '../../app/db/pool.ts'
const root = new URL('../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const page = read('docs/deploy.md')
const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp(`^ *\`\`\`${language}\\n([^]+?)^ *\`\`\``, 'gm'))].map(
    ([, text = '']) => text,
  )
const all = (pattern: RegExp): string[] =>
  [...page.matchAll(pattern)].map(([, found = '']) => found)

/** Of other programs, or of a command alone. */
const NOT_OURS = ['OLD_ENCRYPTION_KEY', 'WHATSAPP_TOKEN', 'OLD_DATABASE_URL', 'NEW_DATABASE_URL']
const NOT_SETTINGS = [...NOT_OURS, 'PGOPTIONS', 'NEW', 'BY', 'OWNER']

await t.test('every setting exists, and every role', t => {
  const named = [...all(/\b([A-Z]{3,}(?:_[A-Z]+)*)=/g), ...all(/`([A-Z]{3,}(?:_[A-Z]+)+)`/g)]
  t.ok(named.length > 30)
  for (const name of new Set(named))
    t.ok(name in settings.shape || NOT_SETTINGS.includes(name), name)
  const roles = all(/\bROLE=(\w+)/g)
  t.strictSame(new Set(roles), new Set(['all', 'web', 'worker']))
  for (const ROLE of roles) t.equal(readConfig({ ROLE }).ROLE, ROLE)
  t.end()
})

await t.test('every command exists, with its flags', t => {
  const { scripts }: { scripts: Record<string, string> } = JSON.parse(read('package.json'))
  const named = all(/npm run ([\w:-]+)/g)
  t.ok(named.length > 5)
  for (const name of new Set(named)) t.ok(name in scripts, `npm run ${name}`)
  for (const path of all(/node (?:--\S+ )*((?:app|scripts)\/\w+\.ts)/g))
    t.ok(existsSync(new URL(path, root)), path)

  const commands = [
    ...page.matchAll(/(?:scripts\/tenant\.ts|npm run tenant --) ([a-z-]+)([^\n`]*)/g),
  ]
  t.ok(commands.length > 5)
  for (const [, command = '', rest = ''] of commands) {
    const file = read(`scripts/tenant/${command.replaceAll('-', '_')}.ts`)
    for (const [flag] of rest.matchAll(/--[a-z-]+/g))
      t.match(file, `${flag} `, `${command} ${flag}`)
  }
  t.end()
})

await t.test('the unit and the Procfile start the same program', t => {
  const [, command = ''] = /^web: (.+)$/m.exec(read('Procfile')) ?? []
  const unit = blocks('ini').find(text => text.includes('[Unit]')) ?? ''
  t.match(unit, `ExecStart=/usr/bin/${command}\n`)
  const [split = ''] = blocks('procfile')
  t.match(split, read('Procfile').split('\n')[0])
  for (const role of ['web', 'worker']) t.match(split, `${role}: ROLE=${role} ${command}\n`)
  // The program takes up to 24 seconds (app/main.ts).
  t.ok(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1]) > 24)
  const [, megabytes] = /--max-old-space-size=(\d+)/.exec(command) ?? []
  t.ok(Number(/^MemoryMax=(\d+)M$/m.exec(unit)?.[1]) > Number(megabytes))
  t.end()
})

await t.test('the settings of the machine are taken', t => {
  const file = blocks('ini').find(text => text.startsWith('NODE_ENV')) ?? ''
  const env = parseEnv(
    file.replace('<openssl rand -base64 32>', Buffer.alloc(32).toString('base64')),
  )
  const { production, DATABASE_URL = '' } = readConfig(env)
  t.equal(production, true)
  t.equal(tlsOf(DATABASE_URL, production), undefined, 'a socket has no TLS')
  t.end()
})

await t.test('a proxy lets through what the program takes, and ends connections before it', t => {
  const [caddy = ''] = blocks('caddy')
  const [nginx = ''] = blocks('nginx')
  t.ok(Number(/max_size (\d+)MB/.exec(caddy)?.[1]) > 5)
  t.ok(Number(/client_max_body_size (\d+)m/.exec(nginx)?.[1]) > 5)
  t.ok(Number(/keepalive (\d+)s/.exec(caddy)?.[1]) < 95)
  t.match(nginx, 'proxy_set_header X-Forwarded-Proto $scheme;')
  t.match(nginx, 'proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;')
  t.notMatch(nginx, /\$request(_uri)?\b(?!_)/, 'the query holds a token')
  t.end()
})

await t.test('the table of connections is that of the program', t => {
  const rows = [...page.matchAll(/^\| (\d+) +\| (\d+) +\| (\d+) +\| (\d+) +\| (\d+) +\|$/gm)]
  t.ok(rows.length >= 4)
  for (const [line, ...cells] of rows) {
    const [connections = 0, ...counts] = cells.map(Number)
    const held = (['all', 'web', 'worker'] as const).map(role => heldBy(role, connections))
    t.strictSame(counts, [...held, 2 * connections], line)
    t.ok(readConfig({ DATABASE_CONNECTIONS: String(connections) }))
  }
  t.end()
})

await t.test('of TLS is taken and refused what the table says', t => {
  const section = page.slice(page.indexOf('## TLS'), page.indexOf('## Updates'))
  const rows = [...section.matchAll(/^\| (.+?) +\|.+\| (taken|refused)[^|]*\|$/gm)]
  t.ok(rows.length >= 7)
  for (const [, forms = '', verdict] of rows)
    for (const [, form = ''] of forms.matchAll(/`([^`]+)`/g)) {
      const query = /=/.test(form) ? form : `sslmode=${form}`
      // A file of that name could be there: it is looked for when the connection is made.
      if (form === 'sslrootcert=system') continue
      const taken = wrongTls(`postgres://u:p@db.example/d?${query}`) === null
      t.equal(taken, verdict === 'taken', form)
    }
  t.end()
})

await t.test('all it links to is there', t => {
  for (const link of new Set(all(/\]\(([^)#h][^)]*)\)/g)))
    t.ok(existsSync(new URL(link, new URL('docs/', root))), link)
  const titles = all(/^#+ (.+)$/gm).map(title =>
    title
      .toLowerCase()
      .replaceAll(/[^\w ]/g, '')
      .replaceAll(' ', '-'),
  )
  for (const anchor of new Set(all(/\]\(#([^)]+)\)/g))) t.ok(titles.includes(anchor), `#${anchor}`)
  t.end()
})

await t.test('after a restore nothing that waits goes out', async t => {
  const { token, did, tenantId } = await business()
  await post(push({ caller: customer().local, did }), { token })
  await work()
  await workAsIfDue()
  await post(push({ caller: customer().local, did }), { token })
  await work()
  const waiting = async () => {
    const { rows } = await sql`
      select (select count(*) from messages where state = 'scheduled')::int as messages,
        (select count(*) from missed_calls where outreach_state = 'scheduled')::int as calls`.execute(
      db,
    )
    return rows[0]
  }
  t.strictSame(await waiting(), { messages: 2, calls: 1 }, 'reminders and a first message')
  const [restore = ''] = blocks('sql').filter(text => text.includes('shadow'))
  for (const statement of restore.split(';\n').filter(Boolean)) await sql.raw(statement).execute(db)
  t.strictSame(await waiting(), { messages: 0, calls: 0 })
  t.match(await db.selectFrom('tenants').select(['id', 'mode']).execute(), [
    { id: tenantId, mode: 'shadow' },
  ])
})

await t.test('the limits for a role behind a pooler are taken', async t => {
  const [limits = ''] = blocks('sql').filter(text => text.includes('alter role'))
  const undo = new Error('undo')
  const tried = db.transaction().execute(async trx => {
    await sql.raw(`create role ringback_doc_${process.pid}`).execute(trx)
    await sql
      .raw(limits.replaceAll('role ringback', `role ringback_doc_${process.pid}`))
      .execute(trx)
    throw undo
  })
  await t.rejects(tried, undo)
})
