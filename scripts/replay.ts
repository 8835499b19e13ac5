/** npm run replay: what other settings would have done with past calls; and classifying calls again. */
import { closeDatabase } from '../app/db/kysely.ts'
import { replayCommand } from './replay/command.ts'

process.exitCode = await replayCommand(process.argv.slice(2))
await closeDatabase()
