if (process.argv.includes('--help')) {
  console.log(`Usage: npm run migrate

Brings the database of DATABASE_URL up to date (without it, the one under .data/).
Safe to run twice, and by two processes at once.`)
} else {
  const { migrate } = await import('../app/db/migrate.ts')
  const { pool } = await import('../app/db/pool.ts')
  for (const name of await migrate()) console.log(`applied ${name}`)
  console.log('the database is up to date')
  await pool.end()
}
