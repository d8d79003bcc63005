import ArgumentParser
import Bytes
import Foundation

/// The exit codes that scripts may rely on.
enum ExitStatus {
    static let jobFailed = ExitCode(1)
    static let usage = ExitCode(2)
    static let unreachable = ExitCode(3)
    static let refused = ExitCode(4)
}

func printError(_ text: String) {
    FileHandle.standardError.write(Data("beamline: \(text)\n".utf8))
}

extension InputError {
    var exitStatus: ExitCode {
        switch code {
        case .unreachable, .deadline: ExitStatus.unreachable
        case .input, .missing: ExitStatus.usage
        case .truncated, .badMagic, .badLength, .badChecksum, .corrupt, .unsupported, .limit, .faulty, .denied,
            .changed:
            ExitStatus.refused
        }
    }
}

/// Runs a command's body; an error becomes one sentence on standard error and an exit code.
func reportingErrors(_ body: () throws -> Void) throws {
    do { try body() } catch let error as InputError {
        printError(error.description)
        throw error.exitStatus
    }
}
