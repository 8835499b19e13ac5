/** node test/support/with-database.ts COMMAND ...: runs a tool of node_modules on a migrated database. */
import { spawnSync } from 'node:child_process'
import { templateName, testDatabaseUrl } from './postgres.ts'

await import('./template.ts')
const [command = '', ...args] = process.argv.slice(2)
const { status } = spawnSync(command, args, {
  stdio: 'inherit',
  env: { ...process.env, DATABASE_URL: await testDatabaseUrl(templateName()) },
})
process.exitCode = status ?? 1
