using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Net.Sockets;
using System.Reflection;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Options;
using Whatsit.Inference;

namespace Whatsit.Server;

/// <summary>Binds configuration sections to options classes, which the core takes as plain objects, and says what is wrong with them.</summary>
internal static class Settings
{
    /// <summary>Settings that got another name; who still has the old one is told the new.</summary>
    private static readonly Dictionary<string, string> Renamed = new(StringComparer.OrdinalIgnoreCase)
    {
        ["Decoding:MaxProgressivePixels"] = "Decoding:MaxProgressiveBytes",
        ["Scheduling:Instances"] = "Scheduling:Concurrency",
    };

    public static void AddSettings<T>(this IServiceCollection services, string section)
        where T : class
    {
        services.AddOptions<T>().BindConfiguration(section).ValidateOnStart();
        services.AddSingleton<IValidateOptions<T>>(provider => new SettingsValidator<T>(provider.GetRequiredService<IConfiguration>().GetSection(section)));
        // Some are needed while the server is put together, before all of them are checked.
        services.AddSingleton(provider => Read(() => provider.GetRequiredService<IOptions<T>>().Value));
    }

    /// <summary>
    /// Where to listen, when nobody named whole addresses: platforms name the port (Heroku: https://devcenter.heroku.com/articles/dynos#web-dynos).
    /// </summary>
    /// <exception cref="OptionsValidationException"><c>PORT</c> is no port.</exception>
    public static string AddressOf(IConfiguration configuration)
    {
        var port = configuration["PORT"] ?? "8080";
        return ushort.TryParse(port, out var number) ? $"{(configuration.GetValue<bool>("https") ? "https" : "http")}://*:{number}"
            : throw Wrong($"PORT is '{port}'; it must be a number from 0 to 65535.");
    }

    /// <summary>Checks every setting before anything is started.</summary>
    /// <exception cref="OptionsValidationException">One is wrong.</exception>
    public static void Check(IServiceProvider services) => Read(() =>
    {
        services.GetRequiredService<IStartupValidator>().Validate();
        return services;
    });

    /// <summary>Runs the server; where it cannot listen, the address is named.</summary>
    /// <exception cref="OptionsValidationException">It cannot listen there.</exception>
    public static async Task RunAsync(WebApplication app)
    {
        // Out of reach when the server has stopped.
        var addresses = app.Configuration["urls"] is { Length: > 0 } named ? named
            : string.Join(';', app.Configuration.GetSection("Kestrel:Endpoints").GetChildren().Select(endpoint => endpoint["Url"]));
        try
        {
            await app.RunAsync();
        }
        catch (SocketException exception) when (exception.SocketErrorCode is SocketError.AccessDenied or SocketError.AddressNotAvailable)
        {
            throw Wrong(
                $"The server cannot listen at {addresses}: {exception.Message}. "
                + "Set PORT to another port; those below 1024 need rights of their own.");
        }
    }

    /// <summary>What a person can mend when the process does not start, in one sentence; nothing where the fault is ours.</summary>
    public static string? ProblemOf(Exception exception) => exception switch
    {
        // A library that is not there.
        InferenceException { Error: InferenceError.BackendFailed } missing => missing.Message,
        OptionsValidationException wrong => string.Join(' ', wrong.Failures),
        // A file of settings that is no JSON, an address that is none, one that another process has.
        InvalidDataException { InnerException: { } reason } => $"{exception.Message} {reason.GetBaseException().Message}",
        FormatException => exception.Message,
        IOException { InnerException: AddressInUseException } => $"{exception.Message} Set PORT to another port, or end the process that has this one.",
        _ => null,
    };

    /// <summary>Stops the start with a sentence.</summary>
    public static OptionsValidationException Wrong(string problem) => new(Options.DefaultName, typeof(Settings), [problem]);

    private static T Read<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (InvalidOperationException exception)
        {
            // A value of the wrong type; the binder's sentence names both.
            throw Wrong(exception.Message);
        }
    }

    /// <summary>Names the setting, its value and its limits, as the configuration spells them.</summary>
    private sealed class SettingsValidator<T>(IConfigurationSection section) : IValidateOptions<T>
        where T : class
    {
        public ValidateOptionsResult Validate(string? name, T options)
        {
            var known = typeof(T).GetProperties().Select(property => property.Name).ToArray();
            var problems = section.GetChildren().ExceptBy(known, setting => setting.Key, StringComparer.OrdinalIgnoreCase)
                .Select(setting => Renamed.TryGetValue(setting.Path, out var now)
                    ? $"There is no setting {setting.Path} any more; it is {now}."
                    : $"There is no setting {setting.Path}; {section.Key} has {string.Join(", ", known)}.").ToList();
            // The binder passes over a text where a list of objects belongs.
            problems.AddRange(section.GetChildren().Where(setting => setting.Value is { Length: > 0 } && !IsText(setting.Key))
                .Select(setting => $"The setting {setting.Path} is '{setting.Value}'. It must be a list: {setting.Path}:0 is its first entry."));
            // It leaves out an entry that it cannot read, too, unless it is asked for that one alone.
            foreach (var entry in section.GetChildren().Where(setting => !IsText(setting.Key)).SelectMany(list => list.GetChildren()))
            {
                entry.Get(PropertyOf(entry.Path.Split(':')[^2])!.PropertyType.GetGenericArguments().Single());
            }

            var results = new List<ValidationResult>();
            Validator.TryValidateObject(options, new ValidationContext(options), results, validateAllProperties: true);
            problems.AddRange(results.Select(result => $"The setting {Named(result)}"));
            return problems.Count > 0 ? ValidateOptionsResult.Fail(problems) : ValidateOptionsResult.Success;
        }

        private static bool IsText(string setting) =>
            PropertyOf(setting) is not { } property || TypeDescriptor.GetConverter(property.PropertyType).CanConvertFrom(typeof(string));

        private static PropertyInfo? PropertyOf(string setting) =>
            typeof(T).GetProperty(setting, BindingFlags.IgnoreCase | BindingFlags.Instance | BindingFlags.Public);

        /// <summary>The setting with its value and what is wrong with it; what is wrong within an entry of a list names that itself.</summary>
        private string Named(ValidationResult result)
        {
            var setting = $"{section.Path}:{result.MemberNames.First()}";
            return result.ErrorMessage!.StartsWith($"{setting}:", StringComparison.Ordinal) ? result.ErrorMessage
                : $"{setting} is '{ValueOf(result.MemberNames.First())}'. {result.ErrorMessage}";
        }

        /// <summary>As it was written; the members of a list one after the other.</summary>
        private string? ValueOf(string setting) =>
            section[setting] ?? string.Join(", ", section.GetSection(setting).GetChildren().Select(member => member.Value));
    }
}
