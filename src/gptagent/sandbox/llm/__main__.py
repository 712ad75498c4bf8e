"""`python -m gptagent.sandbox.llm --port N`"""

from gptagent.sandbox.llm.app import LlmApp
from gptagent.sandbox.serve import address_options, serve


def main() -> None:
    options = address_options(
        "A fake OpenAI-compatible model. control.py tells how to steer it."
    ).parse_args()
    serve(LlmApp(), options.host, options.port)


if __name__ == "__main__":
    main()
