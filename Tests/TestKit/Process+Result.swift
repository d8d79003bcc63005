import Foundation

extension Process {
    /// Runs a program to its end, without standard input.
    ///
    /// - Parameter mergesErrors: whether standard error is part of the output; else it is that of the tests.
    /// - Throws: what Foundation throws where the program cannot be started.
    package static func result(
        _ program: String, _ arguments: [String], mergesErrors: Bool = false
    ) throws -> (status: Int32, output: Data) {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        if mergesErrors { process.standardError = pipe }
        process.standardInput = FileHandle.nullDevice
        try process.start()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, output)
    }
}
