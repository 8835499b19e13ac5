if (process.argv.includes('--help')) {
  console.log(`Usage: npm run migrate

Brings the database of DATABASE_URL up to date. Without DATABASE_URL, the one under .data/.
Safe to run twice, and by two processes at once.`)
} else {
  const { config } = await import('../app/config.ts')
  const { databaseFits } = await import('../app/db/fit.ts')
  const { migrate } = await import('../app/db/migrate.ts')
  const { pool } = await import('../app/db/pool.ts')
  const { keyFits } = await import('../app/key_fits.ts')
  const { isRefusal } = await import('../app/refusal.ts')
  try {
    // The release phase runs these checks too, so that a release that could not start fails and the previous one stays.
    await databaseFits()
    for (const name of await migrate()) console.log(`applied ${name}`)
    console.log('the database is up to date')
    if (config.production) await keyFits()
  } catch (error) {
    if (!isRefusal(error)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
  await pool.end()
}
