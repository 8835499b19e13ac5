export const HELP = `Usage: npm run replay -- --tenant ID --since WHEN [options] [changed settings]
       npm run replay -- --tenant ID --file CALLS.ndjson [options] [changed settings]
       npm run replay -- --apply [--tenant ID] [--since WHEN]

Plays a business's stored calls through the program's own decisions twice, as it is set now and with
changed settings, and prints the difference. Sends nothing and changes nothing.

  --tenant ID             the business
  --since WHEN            calls that came since: 2026-07-01, "2026-07-01 14:00", or how long ago: "30 days"
  --until WHEN            and before (default: now)
  --file FILE             records from a file, one JSON record per line, in place of the stored ones
  --night WINDOW          which messages count as "at night" (default 21:00-08:00)
  --json                  the last line of stdout is one JSON object
  --help                  this text

Changed settings; what is not given stays as it is:
  --delay SPAN            until the first message: "2 minutes", 90s
  --repeat-window SPAN    how long after a message nobody is written to because of another call: 24h
  --oldest-call SPAN      how old a call may be when we hear of it
  --quiet WINDOW          21:00-08:00 or "fri 15:00-sat 20:30"; repeat for more than one
  --no-quiet              at any time
  --missed-statuses LIST  the statuses that count as missed, separated by commas
  --min-ring SECONDS      who hung up sooner misdialled
  --contact-foreign       write to foreign numbers too; or --no-contact-foreign
  --mode MODE             live, shadow or paused
  --connected             as if it had a WhatsApp number to write from

  --apply                 has calls judged again that could not be decided: never judged, unknown, or to a
                          number that was nobody's. Old ones are not written to because of that`
