// What the examples of all calls have in common.

export const uuid = '3c2ea6a5-5a2c-4f5b-9a57-0b2f2b6c9c01'
export const channelId = '7e1b7a0c-3f63-4a39-8d4c-0f6a9f0f1a01'
export const projectId = '0f7b1a52-51a5-4a4c-9f0e-8f3d8a6f5d11'
export const site = 'https://beats.example.org'

export const checkExample = {
  name: 'nightly backup',
  slug: 'nightly-backup',
  tags: 'db prod',
  desc: '',
  grace: 600,
  n_pings: 12,
  status: 'up',
  started: false,
  last_ping: '2026-11-24T03:16:10+00:00',
  next_ping: '2026-11-25T01:15:00+00:00',
  manual_resume: false,
  methods: '',
  subject: '',
  subject_fail: '',
  start_kw: '',
  success_kw: '',
  failure_kw: '',
  filter_subject: false,
  filter_body: false,
  filter_http_body: false,
  filter_default_fail: false,
  badge_url: `${site}/b/2/5e5a2f0e-7d5f-4a5e-8f5a-3a1f0d2b7c11.svg`,
  last_duration: 70,
  uuid,
  ping_url: `${site}/ping/${uuid}`,
  update_url: `${site}/api/v3/checks/${uuid}`,
  pause_url: `${site}/api/v3/checks/${uuid}/pause`,
  resume_url: `${site}/api/v3/checks/${uuid}/resume`,
  channels: channelId,
  schedule: '15 3 * * *',
  tz: 'Europe/Riga',
  max_runtime: 600,
}
