"""What is generated is what its source says."""

import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]


def test_the_protobuf_code_is_generated_from_the_committed_proto(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{REPO / 'schemas'}",
        f"--plugin=protoc-gen-mypy={Path(sys.executable).parent / 'protoc-gen-mypy'}",
        f"--python_out={tmp_path}",
        f"--mypy_out={tmp_path}",
        "station_record.proto",
    ]
    subprocess.run(command, check=True, capture_output=True)
    for name in ("station_record_pb2.py", "station_record_pb2.pyi"):
        assert (tmp_path / name).read_text() == (REPO / "schemas/sincewhen_schemas" / name).read_text(), "make generate"
