// Jira Service Management: the alerts of Opsgenie under Atlassian's address, with the key of an API integration.

import { alertsApi } from './opsgenie.ts'

export const jsm = alertsApi('jsm', 'https://api.atlassian.com/jsm/ops/integration')
