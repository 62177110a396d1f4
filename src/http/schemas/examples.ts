// Values that the examples of several modules share.

export const exampleSite = 'https://beats.example.org'
export const exampleProject = '0f7b1a52-51a5-4a4c-9f0e-8f3d8a6f5d11'
export const exampleCheck = '3c2ea6a5-5a2c-4f5b-9a57-0b2f2b6c9c01'
export const exampleChannel = '7e1b7a0c-3f63-4a39-8d4c-0f6a9f0f1a01'
