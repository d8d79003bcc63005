import Bytes
import Foundation

/// JSON of requests and answers.
enum MessageCoding {
    /// Writes an answer.
    static func body(_ value: some Encodable) throws(InputError) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do { return try encoder.encode(value) } catch {
            throw InputError(.corrupt, "the answer cannot be written as JSON", found: "\(error)")
        }
    }

    /// Reads a request. NaN and Infinity are taken as missing values, written bare as Python does or as strings.
    ///
    /// - Parameter expected: what the request should look like.
    /// - Throws: `InputError` that names the part of the request.
    static func value<T: Decodable>(_ type: T.Type, _ body: Data, expected: String) throws(InputError) -> T {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        do {
            do { return try decoder.decode(type, from: body) } catch DecodingError.dataCorrupted {
                decoder.allowsJSON5 = true
                return try decoder.decode(type, from: body)
            }
        } catch let error as DecodingError {
            throw failure(error, expected: expected)
        } catch {
            throw InputError(.input, "the request is not JSON", expected: expected, found: "\(error)")
        }
    }

    private static func failure(_ error: DecodingError, expected: String) -> InputError {
        func path(_ context: DecodingError.Context, _ last: (any CodingKey)? = nil) -> String {
            (context.codingPath + (last.map { [$0] } ?? []))
                .map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined()
                .trimmingCharacters(in: ["."])
        }
        switch error {
        case .keyNotFound(let key, let context):
            return InputError(.input, "the request lacks a field", object: path(context, key), expected: expected)
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            return InputError(
                .input, "a field of the request has the wrong type", object: path(context), expected: expected,
                found: context.debugDescription)
        case .dataCorrupted(let context):
            return InputError(
                .input, "the request cannot be read", object: context.codingPath.isEmpty ? nil : path(context),
                expected: expected, found: context.debugDescription)
        @unknown default:
            return InputError(.input, "the request cannot be read", expected: expected, found: "\(error)")
        }
    }
}
