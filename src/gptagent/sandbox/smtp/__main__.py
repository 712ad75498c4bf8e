"""`python -m gptagent.sandbox.smtp --port N`: control over HTTP on N, SMTP where `GET /_sandbox` says."""

from gptagent.sandbox.serve import address_options, serve
from gptagent.sandbox.smtp.control import ControlApp
from gptagent.sandbox.smtp.server import Mailbox, listening


def main() -> None:
    parser = address_options("A mail server for trials. control.py tells how to steer it.")
    parser.add_argument("--smtp-port", type=int, default=0, help="0 picks a free one")
    options = parser.parse_args()
    mailbox = Mailbox()
    around = listening(mailbox, options.host, options.smtp_port)
    serve(ControlApp(mailbox), options.host, options.port, around=around)


if __name__ == "__main__":
    main()
