/** The documentation names what exists: paths, commands, settings, links, metrics, alerts and tests. */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseEnv } from 'node:util'
import t from 'tap'
import { z } from 'zod'
import { readConfig, settings, tlsOptions, tlsProblem } from '../app/config.ts'
import { heldBy } from '../app/db/pool.ts'
import { registry } from '../app/monitoring/metrics.ts'
import { db, fake, work } from './support/ringback.ts'
import { tenant } from './scripts/tenant.ts'

const root = new URL('../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const exists = (path: string): boolean => existsSync(new URL(path, root))
const find = (...patterns: string[]): string[] =>
  globSync(patterns, { cwd: root, exclude: name => /node_modules/.test(String(name)) })
const all = (text: string, pattern: RegExp): string[] =>
  [...text.matchAll(pattern)].map(([, found = '']) => found)
/** The fenced blocks of a page in one language. */
const blocks = (page: string, language: string): string[] =>
  all(page, new RegExp(`^ *\`\`\`${language}\\n([^]+?)^ *\`\`\``, 'gm'))

/** The anchors that GitHub gives to the headings of a page. */
const anchorsOf = (page: string): string[] =>
  all(page, /^#+ (.+)$/gm).map(heading =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  )

/** Runs a worker until the command ends. */
const withWorker = async <T>(command: Promise<T>): Promise<T> => {
  let isRunning = true
  const ended = command.finally(() => (isRunning = false))
  while (isRunning) await work()
  return ended
}

const pages = find('*.md', 'docs/*.md')
const sources = find('{app,tasks,scripts,sql,test}/**/*.{ts,js,mjs,sql,md}', '.ci/run', 'Procfile')
const packageJson = z.object({ scripts: z.record(z.string(), z.string()) })
const { scripts } = packageJson.parse(JSON.parse(read('package.json')))

t.test('every path and every npm command in docs and code exists', t => {
  t.ok(pages.length > 10 && sources.length > 100)
  for (const file of [...pages, ...sources]) {
    const text = read(file)
    const paths = /(?<![\w/.@-])((?:app|tasks|scripts|sql|test|docs)\/[\w./-]*\w)/g
    for (const path of new Set(all(text, paths))) if (!exists(path)) t.fail(`${file}: ${path}`)
    for (const name of new Set(all(text, /npm run ([a-z]+(?:[:-][a-z]+)*)/g)))
      if (!(name in scripts)) t.fail(`${file}: npm run ${name}`)
  }
  t.end()
})

t.test('a folder imports only from folders above it in CONTRIBUTING.md', t => {
  const layers = all(read('CONTRIBUTING.md'), /^\| (`(?:app|tasks|scripts|test)\/.*?) +\|/gm).map(
    cell => all(cell, /`([\w/]+)\/(?:\*\.ts)?`/g),
  )
  t.ok(layers.length > 12)
  const rankOf = (file: string): number => {
    const [folder = ''] = layers
      .flat()
      .filter(name => file.startsWith(`${name}/`))
      .toSorted((a, b) => b.length - a.length)
    return layers.findIndex(layer => layer.includes(folder))
  }
  for (const file of find('{app,tasks,scripts,test}/**/*.ts'))
    for (const path of file === 'app/main.ts' ? [] : all(read(file), /from '(\.[^']+)'/g)) {
      const imported = join(dirname(file), path)
      if (rankOf(imported) > rankOf(file)) t.fail(`${file} imports ${imported}`)
    }
  t.end()
})

t.test('every link leads to a file and a heading', t => {
  for (const file of pages) {
    for (const link of new Set(all(read(file), /\]\(([^)]+)\)/g))) {
      if (/^https?:/.test(link)) continue
      const [path = '', anchor] = link.split('#')
      const target = path ? join(dirname(file), path) : file
      if (!exists(target)) t.fail(`${file}: ${link}`)
      else if (anchor) t.ok(anchorsOf(read(target)).includes(anchor), `${file}: ${link}`)
    }
  }
  t.end()
})

t.test('the README shows at most 25 files to read, and all settings', t => {
  const page = read('README.md')
  const files = all(page, /^\d+\. \[`?([\w./]+)`?\]/gm)
  t.ok(files.length >= 15 && files.length <= 25, `${files.length} files`)
  const named = all(page, /^\| (`[A-Z].+?) +\|/gm).flatMap(cell => all(cell, /`([A-Z_]+)`/g))
  const known = Object.keys(settings.shape).filter(name => name !== 'NODE_ENV')
  t.strictSame(named.toSorted(), known.toSorted())
  t.end()
})

t.test('security.md names a test for each promise', t => {
  const page = read('docs/security.md')
  const promises = page.split(/^### /m).slice(1)
  t.ok(promises.length > 20)
  for (const promise of promises)
    t.match(promise, /^Tests: .*(\.ts|by hand)/m, promise.slice(0, 30))
  t.end()
})

t.test('deploy.md', t => {
  const page = read('docs/deploy.md')

  t.test('names settings and roles that exist', t => {
    const OTHERS = [
      'OLD_ENCRYPTION_KEY',
      'NODE_COMPILE_CACHE',
      'WHATSAPP_TOKEN',
      'OLD_DATABASE_URL',
      'NEW_DATABASE_URL',
    ]
    const NOT_SETTINGS = [...OTHERS, 'PGOPTIONS', 'NEW', 'BY', 'OWNER']
    const named = [
      ...all(page, /\b([A-Z]{3,}(?:_[A-Z]+)*)=/g),
      ...all(page, /`([A-Z]{3,}(?:_[A-Z]+)+)`/g),
    ]
    t.ok(named.length > 30)
    for (const name of new Set(named))
      t.ok(name in settings.shape || NOT_SETTINGS.includes(name), name)
    const roles = all(page, /\bROLE=(\w+)/g)
    t.strictSame(new Set(roles), new Set(['all', 'web', 'worker']))
    for (const ROLE of roles) t.equal(readConfig({ ROLE }).ROLE, ROLE)
    t.end()
  })

  t.test('uses flags that the commands have', async t => {
    const commands = [
      ...page.matchAll(/(?:scripts\/tenant\.ts|npm run tenant --) ([a-z-]+)([^\n`]*)/g),
    ]
    t.ok(commands.length > 5)
    for (const [, command = '', rest = ''] of commands) {
      const { stdout } = await tenant([command, '--help'])
      for (const [flag] of rest.matchAll(/--[a-z-]+/g))
        t.match(stdout, `${flag} `, `${command} ${flag}`)
    }
  })

  t.test('starts the program as the Procfile does', t => {
    const [, command = ''] = /^web: (.+)$/m.exec(read('Procfile')) ?? []
    const unit = blocks(page, 'ini').find(text => text.includes('[Unit]')) ?? ''
    t.match(unit, `ExecStart=/usr/bin/${command}\n`)
    const [split = ''] = blocks(page, 'procfile')
    t.match(split, read('Procfile').split('\n')[0])
    for (const role of ['web', 'worker']) t.match(split, `${role}: ROLE=${role} ${command}\n`)
    // The program takes up to 24 seconds to stop (app/main.ts).
    t.ok(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1]) > 24)
    const [, megabytes] = /--max-old-space-size=(\d+)/.exec(command) ?? []
    t.ok(Number(/^MemoryMax=(\d+)M$/m.exec(unit)?.[1]) > Number(megabytes))
    t.end()
  })

  t.test('shows an environment file that the program accepts', t => {
    const file = blocks(page, 'ini').find(text => text.startsWith('NODE_ENV')) ?? ''
    const key = Buffer.alloc(32).toString('base64')
    const { production, DATABASE_URL = '' } = readConfig(
      parseEnv(file.replace('<openssl rand -base64 32>', key)),
    )
    t.equal(production, true)
    t.equal(tlsOptions(DATABASE_URL, production), undefined, 'a socket has no TLS')
    t.end()
  })

  t.test('gives proxies limits that fit those of the program', t => {
    const [caddy = ''] = blocks(page, 'caddy')
    const [nginx = ''] = blocks(page, 'nginx')
    t.ok(Number(/max_size (\d+)MB/.exec(caddy)?.[1]) > 5)
    t.ok(Number(/client_max_body_size (\d+)m/.exec(nginx)?.[1]) > 5)
    t.ok(Number(/keepalive (\d+)s/.exec(caddy)?.[1]) < 95)
    t.match(nginx, 'proxy_set_header X-Forwarded-Proto $scheme;')
    t.match(nginx, 'proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;')
    t.notMatch(nginx, /\$request(_uri)?\b(?!_)/, 'the query string contains a token')
    t.end()
  })

  t.test('counts connections as the program does', t => {
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

  t.test('says of TLS what the program takes and refuses', t => {
    const section = page.slice(page.indexOf('## TLS'), page.indexOf('## Updates'))
    const rows = [...section.matchAll(/^\| (.+?) +\|.+\| (taken|refused)[^|]*\|$/gm)]
    t.ok(rows.length >= 7)
    for (const [, forms = '', verdict] of rows)
      for (const form of all(forms, /`([^`]+)`/g)) {
        // The program looks for a file of this name only when it connects.
        if (form === 'sslrootcert=system') continue
        const query = form.includes('=') ? form : `sslmode=${form}`
        const taken = tlsProblem(`postgres://u:p@db.example/d?${query}`) === null
        t.equal(taken, verdict === 'taken', form)
      }
    t.end()
  })
  t.end()
})

t.test('the container starts the program as the Procfile does', t => {
  const dockerfile = read('Dockerfile')
  const [command = ''] = all(dockerfile, /^CMD (\[.+\])$/gm)
  const [, web = ''] = /^web: (.+)$/m.exec(read('Procfile')) ?? []
  t.equal(z.array(z.string()).parse(JSON.parse(command)).join(' '), web)
  // Compiled code is valid only for the same flags.
  t.match(dockerfile, `RUN ${web} 2>&1 | grep 'cannot start'`)
  const copied = all(dockerfile, /^COPY (?!--from)(.+) \S+$/gm).flatMap(files => files.split(' '))
  const allowed = all(read('.dockerignore'), /^!(.+)$/gm)
  t.ok(copied.length > 5)
  for (const file of copied) {
    t.ok(exists(file), file)
    t.ok(allowed.includes(file.split('/')[0] ?? ''), `${file} is not ignored`)
  }
  t.match(dockerfile, /^USER node$/m)

  const compose = read('compose.yaml')
  const key = Buffer.alloc(32).toString('base64')
  const env = Object.fromEntries(
    [...compose.matchAll(/^ {4}([A-Z_]+): (.+)$/gm)].map(([, name = '', value = '']) => [
      name,
      name === 'ENCRYPTION_KEY'
        ? key
        : name === 'PUBLIC_URL'
          ? 'https://ringback.example.com'
          : value.replace(/\$\{\w+:-\}/, '').replace(/\$\{\w+(:\?[^}]*)?\}/, 'abc'),
    ]),
  )
  t.match(readConfig({ ...env, NODE_ENV: 'production' }), { production: true, ROLE: 'all' })
  for (const name of Object.keys(env)) t.ok(name in settings.shape, `${name} is a setting`)
  const [example = ''] = blocks(read('docs/operations.md'), 'sh').filter(one =>
    one.includes('.env'),
  )
  for (const name of all(compose, /\$\{(\w+):\?/g)) t.match(example, `${name}=`)
  // The program takes up to 24 seconds to stop (app/main.ts).
  t.match(compose, 'stop_grace_period: 30s')
  t.end()
})

t.test('engines has no range that may bring a new major version of Node by itself', t => {
  const engines = z.object({ engines: z.object({ node: z.string() }) })
  const { node } = engines.parse(JSON.parse(read('package.json'))).engines
  t.match(node, /^(\d+\.x|\^\d+\.\d+\.\d+)( \|\| (\d+\.x|\^\d+\.\d+\.\d+))*$/)
  const lock = z.object({ packages: z.object({ '': engines }) })
  t.equal(lock.parse(JSON.parse(read('package-lock.json'))).packages[''].engines.node, node)
  t.end()
})

t.test('app.json', t => {
  /** The part of https://devcenter.heroku.com/articles/app-json-schema that app.json uses. */
  const manifest = z.strictObject({
    name: z.string().min(3).max(30),
    description: z.string().max(140),
    keywords: z.array(z.string()),
    success_url: z.literal('/ops'),
    buildpacks: z.tuple([z.strictObject({ url: z.literal('heroku/nodejs') })]),
    addons: z.tuple([z.strictObject({ plan: z.literal('heroku-postgresql:essential-0') })]),
    formation: z.strictObject({
      web: z.strictObject({ quantity: z.literal(1), size: z.literal('basic') }),
    }),
    env: z.record(
      z.string(),
      z.strictObject({
        description: z.string().min(20),
        value: z.string().optional(),
        generator: z.literal('secret').optional(),
        required: z.boolean().optional(),
      }),
    ),
  })
  const { env, formation } = manifest.parse(JSON.parse(read('app.json')))
  const procfile = read('Procfile')
  for (const name of Object.keys(env)) t.ok(name in settings.shape, `${name} is a setting`)
  for (const role of Object.keys(formation)) t.match(procfile, `${role}: `)
  t.match(procfile, /^release: node scripts\/migrate\.ts$/m)

  // What an app has if its creator fills in only the required settings. Heroku generates 64 hexadecimal digits.
  const HEROKU_SECRET = 'ab'.repeat(32)
  const filled = Object.fromEntries(
    Object.entries(env)
      .filter(([, { required = true }]) => required)
      .map(([name, { value, generator }]) => [
        name,
        value ?? (generator ? HEROKU_SECRET : Buffer.alloc(32).toString('base64')),
      ]),
  )
  // The add-on sets DATABASE_URL without any TLS parameter.
  const DATABASE_URL = 'postgres://u:p@ec2.compute.example:5432/d'
  t.match(readConfig({ ...filled, DATABASE_URL }), { production: true, ROLE: 'all' })
  t.throws(() => readConfig({ ...filled, DATABASE_URL, ENCRYPTION_KEY: HEROKU_SECRET }), {
    message: /ENCRYPTION_KEY: expected 32 bytes/,
  })
  t.equal(env['ENCRYPTION_KEY']?.generator, undefined, 'so Heroku does not generate it')
  t.end()
})

t.test('monitoring.md', async t => {
  const page = read('docs/monitoring.md')
  const rows = [...page.matchAll(/^\| `(\w+)` +\| (.*?) +\|/gm)].map(
    ([, name = '', second = '']): [string, string] => [name, second],
  )
  const isOurs = (name: string): boolean => name.startsWith('ringback_')
  const metrics = registry.getMetricsAsArray()

  t.test('lists every metric of ours with its labels', t => {
    const known = metrics
      .filter(({ name }) => isOurs(name))
      .map((metric): [string, string] => {
        const labels: unknown = 'labelNames' in metric ? metric.labelNames : null
        return [
          metric.name,
          Array.isArray(labels) ? labels.map(one => `\`${one}\``).join(', ') : '?',
        ]
      })
    t.ok(known.length > 10)
    const listed = rows.filter(([name]) => isOurs(name))
    t.equal(listed.length, known.length)
    t.strictSame(new Map(listed), new Map(known))
    t.end()
  })

  t.test('has rules that use existing metrics', t => {
    const rules = blocks(page, 'yaml').join()
    const used = all(rules, /\b((?:ringback|process|nodejs)_\w+)/g)
    t.ok(used.length > 5)
    for (const name of used)
      t.ok(
        metrics.some(metric => metric.name === name.replace(/_(bucket|count|sum)$/, '')),
        name,
      )
    t.end()
  })

  await t.test('lists every kind of alert', async t => {
    const listed = rows.map(([name]) => name).filter(name => !isOurs(name))
    for (const kind of listed)
      await db.insertInto('alerts').values({ kind, subject: 'x' }).execute()
    const [check = ''] = all(
      find('sql/*.sql').map(read).join(),
      /create table alerts[^;]+?kind in \((.+?)\)/gs,
    )
    t.strictSame(listed.toSorted(), all(check, /'(\w+)'/g).toSorted())
  })
})

t.test('every command of tenants.md runs, in order', async t => {
  const commands = all(read('docs/tenants.md'), /^npm run tenant -- (.+)$/gm).map(command =>
    // The host of a webhook must have an address.
    [...command.replace('crm.example.com', 'localhost').matchAll(/"([^"]*)"|(\S+)/g)].map(
      ([, quoted, word]) => quoted ?? word ?? '',
    ),
  )
  t.ok(commands.length > 20, String(commands.length))
  const { token, wabaId } = fake.addNumber({ phoneNumberId: '106540352242922' })
  fake.setReview(wabaId, { status: 'APPROVED' })
  const env = { WHATSAPP_TOKEN: token, SALON_PASSWORD: 'a long enough one' }
  for (const args of commands) {
    const command = tenant(args, { env })
    const { status, stderr } = await (args[0] === 'test-message' ? withWorker(command) : command)
    // Meta reports nothing here, so something stays missing.
    t.equal(status, args[0] === 'check' ? 1 : 0, `${args.join(' ')}\n${stderr}`)
  }
  t.equal(fake.inbox('+972502345678').length, 1, "the test message is on the owner's phone")
  t.match(await db.selectFrom('tenants').selectAll().execute(), [{ id: '1', mode: 'live' }])
})
