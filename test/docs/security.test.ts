/** docs/security.md names a test for each promise: they exist. */
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'

const docs = new URL('../../docs/', import.meta.url)
const page = readFileSync(new URL('security.md', docs), 'utf8')
const links = [...page.matchAll(/\]\((\.\.\/[^)]+)\)/g)].map(([, link = '']) => link)

t.ok(links.length > 30)
for (const link of new Set(links)) t.ok(existsSync(new URL(link, docs)), link)
for (const row of page.matchAll(/^\| (?!what|-)([^|]+) \|.*\| ([^|]+) \|$/gm))
  t.match(row[2], /\.ts|by hand/, `${row[1]}: has a test`)
