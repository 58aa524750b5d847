// Sends the mails of an order (JSON) by nodemailer, all at once, and writes what became of each to the outcome that it names.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const order = JSON.parse(readFileSync(process.argv[2], "utf8"));
const nodemailer = createRequire(import.meta.url)(order.nodemailer);
const transport = nodemailer.createTransport({ ...order.transport, logger: true, debug: true });

const outcomes = await Promise.all(
  order.mails.map(async (mail) => {
    try {
      const { response, accepted, rejected } = await transport.sendMail(mail);
      return { response, accepted, rejected };
    } catch (error) {
      return { code: error.code, response: error.response, message: error.message };
    }
  }),
);
transport.close();
writeFileSync(order.outcome, JSON.stringify(outcomes));
