// What the examples of all calls have in common.

export const uuid = '3c2ea6a5-5a2c-4f5b-9a57-0b2f2b6c9c01'
export const channelId = '7e1b7a0c-3f63-4a39-8d4c-0f6a9f0f1a01'
export const site = 'https://beats.example.org'
