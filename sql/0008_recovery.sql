-- What is needed to go on after a crash: who of the workers is alive, and which rows are due.

-- One row per running worker, by the name that graphile-worker writes into locked_by. It is alive as long as its
-- session holds the advisory lock hashtextextended(id, 0); whoever finds that lock free sets its jobs free and
-- removes the row (app/worker/alive.ts).
create table worker_pools (
  id         text not null constraint worker_pools_key primary key,
  started_at timestamptz not null default now()
);

-- Rows that are due and have no job that would get to them are looked for once a minute (app/worker/due.ts). These
-- indexes hold only what is open, so that looking costs next to nothing however much has been stored.
create index raw_cdrs_unjudged on raw_cdrs (received_at) where verdict is null;
create index missed_calls_waiting on missed_calls (outreach_due_at) where outreach_state in ('scheduled', 'sending');
create index lead_conversations_open on lead_conversations (id) where state = 'open';
-- Claims whose sender may be gone, looked for every few seconds.
create index messages_claimed on messages (claimed_at) where state = 'sending';
