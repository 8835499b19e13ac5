-- Fills a migrated database with two months of calls and their outreach. The same every time. The temporary table `fill` holds
-- one row: how many `tenants` and `calls`, the `share` of the calls that the first tenant has, and the `skew` of the others.
-- The first tenant has a control group, and every third call comes from an advertisement.

truncate tenants, raw_cdrs restart identity cascade;
select setseed(0.42);

insert into tenants (name, mode, holdout_percent)
select coalesce((array['מספרת נועה', 'Levi Plumbing', 'מרפאת שיניים כרמל', 'Garage 24', 'פרחי השרון'])[n], 'Business ' || n),
       case when n % 50 = 7 then 'paused' when n % 10 = 5 then 'shadow' else 'live' end, case when n = 1 then 10 else 0 end
from fill, generate_series(1, tenants) n;
create temporary table line as select t, '+9727' || 22776770 + t as phone from fill, generate_series(1, tenants) t;
insert into tenant_numbers (tenant_id, phone) select t, phone from line;
insert into whatsapp_connections (tenant_id, display_phone_number, phone_number_id, access_token)
select t, phone, (1000 + t)::text, 'v1:made up' from line;

-- Most calls come by day, and are answered.
create temporary table made as
select n, case when random() < share then 1 else 2 + floor((tenants - 1) * power(random(), skew))::int end as tenant,
       -- The last calls came within the last three hours, at any time of day.
       case when n > calls - latest then now() - interval '3 hours' * (calls - n) / latest
            else date_trunc('day', now() - interval '60 days' * (calls - n) / (calls - latest))
                 - interval '1 day' + interval '7 hours' * (1 + random() + random()) end as at,
       floor(random() * calls * 0.24)::int as person, random() as luck, random() as fate
from fill, lateral (select calls / 500 as latest) l, generate_series(1, calls) n;

insert into raw_cdrs (token_tenant_id, tenant_id, call_id, root_call_id, payload, body, content_hash, received_at,
                      called_at, clock, business_phone, customer_phone, reached_phone, reached_until, verdict, reason, campaign)
select tenant, tenant, 'made' || n, 'made' || n, payload, convert_to(payload::text, 'UTF8'),
       sha256(convert_to(payload::text, 'UTF8')), at + interval '1 minute', at, 'plain', '+9727' || 22776770 + tenant,
       '+97252' || lpad((2000000 + person)::text, 7, '0'),
       case when luck >= 0.4 and luck < 0.9 then '+97252' || lpad((2000000 + person)::text, 7, '0') end,
       case when luck >= 0.4 and luck < 0.9 then at + interval '124 seconds' end,
       case when luck < 0.4 then 'missed' when luck < 0.9 then 'answered' when luck < 0.98 then 'not_inbound'
            else 'unmatched_number' end,
       case when luck < 0.4 then 'noanswer' when luck < 0.9 then 'agent' when luck < 0.98 then 'outgoing'
            else 'number_dialled' end,
       case when n % 3 = 0 then jsonb_build_object('utm_source', (array['google', 'facebook', 'instagram'])[1 + n % 9 / 3],
         'utm_medium', 'cpc', 'utm_campaign', 'campaign ' || n % 24) end
from made, lateral (select jsonb_build_object(
  'ivruniqueid', 'made' || n, 'caller', '052' || lpad((2000000 + person)::text, 7, '0'), 'did', '07' || 22776770 + tenant,
  'time', extract(epoch from at)::bigint, 'type', 'Incoming Call', 'status', case when luck < 0.4 then 'NOANSWER' else 'ANSWER' end,
  'duration', case when luck < 0.4 then 0 else 95 end, 'dialtime', 24, 'representative_name', '')) p (payload);

insert into leads (tenant_id, phone, missed_call_count, state, name)
select tenant, '+97252' || lpad((2000000 + person)::text, 7, '0'), count(*),
       (array['contacted', 'replied', 'reached_by_phone', 'unresponsive', 'opted_out'])[1 + person % 5], 'לקוחה ' || person
from made where luck < 0.4 group by tenant, person;

insert into missed_calls (tenant_id, lead_id, call_id, caller_phone, business_phone, status, called_at, outreach_state,
                          outreach_reason, outreach_due_at, created_at)
select m.tenant, l.id, 'made' || m.n, l.phone, '+9727' || 22776770 + m.tenant, 'NOANSWER', m.at,
       split_part(became, '/', 1), split_part(became, '/', 2), m.at + interval '3 minutes', m.at + interval '1 minute'
from made m
join leads l on l.tenant_id = m.tenant and l.phone = '+97252' || lpad((2000000 + m.person)::text, 7, '0'),
lateral (select case
  when m.n > (select calls - calls / 5000 from fill) then 'scheduled/waiting' when m.fate < 0.55 and m.tenant = 1 and m.person % 10 = 0 then 'skipped/holdout'
  when m.fate < 0.55 then 'sent/accepted' when m.fate < 0.7 then 'skipped/already_contacted'
  when m.fate < 0.8 then 'cancelled/reached_by_phone' when m.fate < 0.85 then 'skipped/not_mobile' when m.fate < 0.9 then 'skipped/opted_out'
  when m.fate < 0.995 then 'cancelled/replied' when m.fate < 0.998 then 'failed/refused' else 'unknown/no_answer' end as became) as b
where m.luck < 0.4;

insert into lead_conversations (tenant_id, lead_id, missed_call_id, state, created_at)
select tenant_id, lead_id, id, case when called_at > now() - interval '1 day' then 'open'
       else (array['replied', 'unresponsive', 'reached_by_phone'])[1 + id % 3] end, created_at
from missed_calls where outreach_state in ('sent', 'failed', 'unknown');

insert into messages (tenant_id, lead_conversation_id, whatsapp_connection_id, direction, kind, state, reason, due_at,
                      claimed_at, accepted_at, wamid, wa_id, created_at)
select m.tenant_id, c.id, m.tenant_id, 'out', 'initial',
       case m.outreach_state when 'sent' then (array['delivered', 'read', 'read', 'accepted'])[1 + m.id % 4] else m.outreach_state end,
       m.outreach_reason, m.outreach_due_at, m.outreach_due_at, case m.outreach_state when 'sent' then m.outreach_due_at end,
       'wamid.made' || m.id, substr(m.caller_phone, 2), m.outreach_due_at
from lead_conversations c join missed_calls m on m.id = c.missed_call_id;
insert into messages (tenant_id, lead_conversation_id, direction, kind, state, reason, due_at, claimed_at, created_at)
select m.tenant_id, c.id, 'out', 'reminder_' || n,
       case c.state when 'open' then 'scheduled' when 'unresponsive' then 'read' else 'cancelled' end,
       case when c.state not in ('open', 'unresponsive') then c.state end,
       m.outreach_due_at + case n when 1 then interval '2 hours' else interval '24 hours' end, m.outreach_due_at, m.outreach_due_at
from lead_conversations c join missed_calls m on m.id = c.missed_call_id, generate_series(1, 2) n where m.outreach_state = 'sent';
insert into messages (tenant_id, lead_conversation_id, lead_id, direction, kind, state, wamid, wa_id, text, created_at)
select m.tenant_id, c.id, m.lead_id, 'in', 'inbound', 'received', 'wamid.back' || m.id, substr(m.caller_phone, 2),
       'אפשר לקבוע תור למחר?', m.outreach_due_at + interval '17 minutes'
from lead_conversations c join missed_calls m on m.id = c.missed_call_id where c.state = 'replied';
update leads l set heard_at = m.at,
       callback_requested_at = case when l.id % 40 = 0 then m.at end
from (select lead_id, max(created_at) as at from messages where direction = 'in' group by lead_id) m where m.lead_id = l.id;
-- The last three who wrote to the first tenant did so just now.
create temp table wrote as select id from leads where tenant_id = 1 and heard_at is not null order by heard_at desc limit 3;
update messages set created_at = now() - lead_id % 7 * interval '1 minute' where direction = 'in' and lead_id in (select id from wrote);
update leads set heard_at = now() - id % 7 * interval '1 minute' where id in (select id from wrote);
-- Everybody of the days before was called back, so only a few people wait.
update leads set called_back_at = midnight, callback_requested_at = case when callback_requested_at > midnight then callback_requested_at end
from (select date_trunc('day', now() at time zone 'Asia/Jerusalem') at time zone 'Asia/Jerusalem' as midnight) today;
update leads set outcome = 'won', outcome_value = 200 + id % 9 * 50, outcome_at = heard_at + interval '1 day'
where state = 'replied' and heard_at < now() - interval '2 days' and id % 3 = 0;
update leads set outcome = 'won', outcome_value = 350, outcome_at = now() - interval '1 minute'
where id in (select id from leads where tenant_id = 1 and outcome is null and state = 'replied' order by heard_at limit 2);

insert into whatsapp_events (tenant_id, phone_number_id, field, kind, payload, content_key, received_at, outcome)
select tenant_id, (1000 + tenant_id)::text, 'messages', 'status', '{}', sha256(convert_to(id::text, 'UTF8')), created_at, 'read'
from messages where direction = 'out';
insert into rejected_deliveries (tenant_id, source, reason, content_type, body, body_hash, received_at)
select 1 + n % (select tenants from fill), 'voicenter', 'no call id', 'application/json', '{"caller":"0502345678"}', sha256(convert_to(n::text, 'UTF8')),
       now() - interval '1 hour' * n
from generate_series(1, 500) n;
insert into opt_outs (tenant_id, phone, source) select tenant_id, phone, 'reply' from leads where state = 'opted_out';
insert into audit_log (who, tenant_id, action, subject, before, after, at)
select 'operator', 1 + n % tenants, 'tenant.set', 'tenants ' || 1 + n % tenants, '{"mode": "shadow"}', '{"mode": "live"}', now() - interval '1 hour' * n
from fill, generate_series(1, 2000) n;

-- Every fortieth tenant has a problem.
insert into alerts (tenant_id, kind, subject)
select id, case when id % 80 = 0 then 'webhooks_silent' else 'connection_paused' end, 'tenants ' || id
from tenants where id % 40 = 0;
update leads set read_at = now() where id % 10 > 0;
update leads set called_back_at = null, outcome = null, outcome_value = null, outcome_at = null
from fill where tenants > 1000 and id % 50 = 0;

-- One of four missed calls has a job in the queue, and one of a hundred of these failed for good.
select count(*) from graphile_worker.add_jobs((
  select array_agg(row('lead_outreach', json_build_object('tenantId', tenant_id::text, 'missedCallId', id::text, 'callerPhone', caller_phone), null,
    now() + interval '1 day' * (1 + id % 30), 10::smallint, 'lead_outreach:' || id, 0::smallint,
    array['sends', 'sends:' || tenant_id])::graphile_worker.job_spec)
  from missed_calls where id % 4 = 0));
update graphile_worker._private_jobs set attempts = max_attempts, last_error = 'connect ECONNREFUSED 10.0.0.' || id % 7
where id % 100 = 0;

select count(refresh_daily_figures(day::date)) from generate_series(now() - interval '32 days', now() + interval '1 day', interval '1 day') day;
