import Arrays
import Bytes
import Foundation
import TestKit
import Testing

/// Archives of arrays, as NumPy and Python's zipfile read them.
@Suite struct NpzWriterTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
        .standardizedFileURL
    private static let python = root.appending(path: ".build-python/bin/python")
    static let hasOracle = FileManager.default.fileExists(atPath: python.path)

    /// What NumPy finds in an archive.
    private struct Found: Decodable, Equatable {
        enum Content: Decodable, Equatable {
            case bytes(String)
            case texts([String])

            init(from decoder: any Decoder) throws {
                let value = try decoder.singleValueContainer()
                if let bytes = try? value.decode(String.self) {
                    self = .bytes(bytes)
                } else {
                    self = .texts(try value.decode([String].self))
                }
            }
        }

        var type: String
        var shape: [Int]
        var content: Content
    }

    private func withFolder(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "beamline-npz-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder)
    }

    private func read(_ file: URL) throws -> [String: Found] {
        let oracle = Self.root.appending(path: "Tests/ArraysTests/oracle.py").path
        let found = try Process.result(Self.python.path, [oracle, file.path])
        try #require(found.status == 0)
        return try JSONDecoder().decode([String: Found].self, from: found.output)
    }

    private static let floats: [Float] = [1.5, -0.0, .infinity, .nan, Float(bitPattern: 1), -3e38]

    private func write(_ file: URL, zip64From: UInt64 = 0xFFFF_FFFF) throws {
        let archive = try NpzWriter(path: file.path, zip64From: zip64From)
        try archive.add("values", NpyArray(.float32, shape: [2, 3, 1])) { (put) throws(InputError) in
            // In two pieces, and an empty one.
            for range in [0..<4, 4..<4, 4..<6] {
                try Array(Self.floats[range]).withUnsafeBufferPointer { (part) throws(InputError) in
                    try put(UnsafeRawBufferPointer(part))
                }
            }
        }
        try archive.add("values_mask", NpyArray(.bool, shape: [3])) { (put) throws(InputError) in
            try ([1, 0, 1] as [UInt8]).withUnsafeBufferPointer { (part) throws(InputError) in
                try put(UnsafeRawBufferPointer(part))
            }
        }
        try archive.add("label", [0, -1, .max] as [Int32])
        try archive.add("entry", [.min, 1 << 40] as [Int64])
        try archive.add("none", [] as [Float])
        try archive.add("flat", NpyArray(.float32, shape: [0, 7])) { (_) throws(InputError) in }
        try archive.add("names", texts: ["/store/a.root", "", "größe \u{1D6FC}"])
        try archive.add("no names", texts: [])
        try archive.add("größe", [2.5] as [Float])
        try archive.finish()
    }

    private func little(_ values: [some FixedWidthInteger]) -> Found.Content {
        var text = ""
        for value in values {
            for shift in stride(from: 0, to: value.bitWidth, by: 8) {
                let byte = UInt8(truncatingIfNeeded: value >> shift)
                text += (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return .bytes(text)
    }

    /// The same with ZIP64's records, which large archives need.
    @Test(.enabled(if: hasOracle, "needs .build-python"), arguments: [0xFFFF_FFFF, 0, 200] as [UInt64])
    func numPyReadsWhatIsWritten(zip64From: UInt64) throws {
        try withFolder { folder in
            let file = folder.appending(path: "a.npz")
            try write(file, zip64From: zip64From)
            let expected: [String: Found] = [
                "values": Found(type: "<f4", shape: [2, 3, 1], content: little(Self.floats.map(\.bitPattern))),
                "values_mask": Found(type: "|b1", shape: [3], content: .bytes("010001")),
                "label": Found(type: "<i4", shape: [3], content: little([0, -1, .max] as [Int32])),
                "entry": Found(type: "<i8", shape: [2], content: little([.min, 1 << 40] as [Int64])),
                "none": Found(type: "<f4", shape: [0], content: .bytes("")),
                "flat": Found(type: "<f4", shape: [0, 7], content: .bytes("")),
                "names": Found(
                    type: "<U13", shape: [3], content: .texts(["/store/a.root", "", "größe \u{1D6FC}"])),
                "no names": Found(type: "<U1", shape: [0], content: .texts([])),
                "größe": Found(type: "<f4", shape: [1], content: little([Float(2.5).bitPattern])),
            ]
            let found = try read(file)
            #expect(found == expected)
        }
    }

    @Test func theBytesDependOnTheArraysAlone() throws {
        try withFolder { folder in
            let (first, second) = (folder.appending(path: "1.npz"), folder.appending(path: "2.npz"))
            try write(first)
            try write(second)
            #expect(try Data(contentsOf: first) == Data(contentsOf: second))
        }
    }

    /// A shape as NumPy writes it, and elements that begin at a multiple of 64 bytes.
    @Test func headersAreAsTheFormatWantsThem() {
        for (shape, text) in [([], "()"), ([5], "(5,)"), ([5, 0], "(5, 0)"), ([1, 2, 3, 4], "(1, 2, 3, 4)")] {
            let array = NpyArray(.int64, shape: shape)
            let header = array.header
            #expect(header.count % 64 == 0 && header.last == UInt8(ascii: "\n"))
            #expect(header[..<8] == [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0])
            #expect(Int(header[8]) + Int(header[9]) << 8 == header.count - 10)
            let dictionary = "{'descr': '<i8', 'fortran_order': False, 'shape': \(text), }"
            #expect(String(decoding: header[10...], as: UTF8.self).hasPrefix(dictionary))
            #expect(array.byteCount == 8 * shape.reduce(1, *))
        }
    }

    /// What is not finished leaves nothing, and never touches the file that was there.
    @Test func aFileIsWholeOrNotThere() throws {
        try withFolder { folder in
            let file = folder.appending(path: "a.npz")
            try Data("before".utf8).write(to: file)
            do {
                let archive = try NpzWriter(path: file.path)
                try archive.add("x", [1, 2] as [Float])
                #expect(FileManager.default.fileExists(atPath: file.path + ".partial"))
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["a.npz"])
            #expect(try Data(contentsOf: file) == Data("before".utf8))
            try write(file)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["a.npz"])
            #expect(try Data(contentsOf: file).count > 1000)
        }
    }

    @Test func errorsNameTheFile() throws {
        try withFolder { folder in
            let file = folder.appending(path: "none/a.npz").path
            let missing = #expect(throws: InputError.self) { try NpzWriter(path: file) }
            #expect(missing?.code == .denied && missing?.file == file && missing?.found != nil)
            let path = folder.appending(path: "a.npz").path
            let archive = try NpzWriter(path: path)
            try archive.add("label", [1] as [Int32])
            let twice = #expect(throws: InputError.self) { try archive.add("label", [1] as [Float]) }
            #expect(twice?.file == path && twice?.object == "label")
        }
    }
}
