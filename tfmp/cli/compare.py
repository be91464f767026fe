"""`tfmp compare`."""

from tfmp.cli.files import add_trust, load_inputs, load_model_file

DESCRIPTION = "Run a TFLite file and compare it with the fixed model that it was exported from."


def add_arguments(command):
    """Adds the arguments of the command to its parser."""
    command.add_argument("model", help="a .keras file of a fixed model")
    command.add_argument("file", help="the .tflite file")
    command.add_argument("data", help="an .npz file with x_test or x_train; of several inputs x_test/NAME each")
    command.add_argument("--json", help="file to write the report to, besides printing it")
    command.add_argument("--overwrite", action="store_true")
    add_trust(command)


def run(arguments):
    """Runs the command."""
    import tfmp
    from tfmp.types.atomic_file import check_writable

    if arguments.json:
        check_writable(arguments.json, arguments.overwrite)
    report = tfmp.compare_tflite(
        load_model_file(arguments.model, arguments.trust), arguments.file, load_inputs(arguments.data)
    )
    print(report)
    if arguments.json:
        report.to_json(arguments.json, overwrite=arguments.overwrite)
