package gateway

const hasSendfile = true
